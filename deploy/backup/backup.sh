#!/usr/bin/env bash
# Backups of ST-LAZI's PostgreSQL, by pg_dump: for a container, a systemd timer or cron.
#
#   backup.sh daily     one a day, at BACKUP_AT (UTC); one that failed is tried again after 1, 2, 4 ... 60 minutes
#   backup.sh once      one now; exit code 1 when it fails
#   backup.sh check     exit code 0 when the newest good one is young enough, else 1 and a line why
#
# Settings: DATABASE_DIRECT_URL or DATABASE_URL, or with _FILE at the end a file that holds it (a pooler in transaction mode
# cannot be dumped through, the direct address can), BACKUP_FOLDER, BACKUP_AT, BACKUP_KEEP_DAYS, BACKUP_KEEP_LEAST (so many stay
# whatever their age), BACKUP_LATE_HOURS (from when on the newest one is too old), BACKUP_SCHEMAS (with spaces between; empty: all).
# To put one back: pg_restore --clean --if-exists --no-owner --dbname "$DATABASE_URL" FILE
# That is done while no process of ours runs, into a database of the name that it had: the state of the models names it.
set -euo pipefail
export LC_ALL=C TZ=UTC

folder=${BACKUP_FOLDER:-/var/backups/lazi}
at=${BACKUP_AT:-02:30}
keep_days=${BACKUP_KEEP_DAYS:-14}
keep_least=${BACKUP_KEEP_LEAST:-3}
late_hours=${BACKUP_LATE_HOURS:-26}
failed=$folder/FAILED

tell() { echo "$(date +%FT%TZ) backup: $*" >&2; }

# A setting: from the environment, else from the file that NAME_FILE names.
setting() {
  local file=$1_FILE
  if [[ -n ${!1:-} ]]; then
    printf '%s' "${!1}"
  elif [[ -n ${!file:-} ]]; then
    cat -- "${!file}"
  fi
}

# Takes the password out of the address, because arguments can be read by others: what is left is $address.
find_database() {
  local user password rest
  address=$(setting DATABASE_DIRECT_URL)
  address=${address:-$(setting DATABASE_URL)}
  if [[ -z $address ]]; then
    tell "DATABASE_URL is not set, nor DATABASE_URL_FILE."
    return 1
  fi
  if [[ $address =~ ^(postgres(ql)?://)([^/@:]*):([^/@]*)@(.*)$ ]]; then
    user=${BASH_REMATCH[3]} password=${BASH_REMATCH[4]} rest=${BASH_REMATCH[5]}
    address=${BASH_REMATCH[1]}$user@$rest
    PGPASSWORD=$(printf '%b' "${password//%/\\x}")
    export PGPASSWORD
  fi
}

# The newest good one's age in seconds; fails when there is none.
age() {
  local newest
  newest=$(find "$folder" -maxdepth 1 -name 'lazi-*.dump' -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
  [[ -n $newest ]] && echo $(($(date +%s) - ${newest%.*}))
}

# Removes good ones beyond their days, but for the newest few, and what was left unfinished by one that was cut off.
tidy() {
  find "$folder" -maxdepth 1 -name '.lazi-*.part' -mmin +1440 -delete
  find "$folder" -maxdepth 1 -name 'lazi-*.dump' -printf '%T@ %p\n' | sort -rn | tail -n "+$((keep_least + 1))" | cut -d ' ' -f 2- |
    while IFS= read -r file; do
      if [[ -n $(find "$file" -mmin "+$((keep_days * 1440))") ]]; then
        rm -- "$file"
        tell "removed $file, which is older than $keep_days days"
      fi
    done
}

# One dump, beside its final name until it is whole and readable.
dump() {
  local part name schemas=() schema
  find_database || return 1
  name=lazi-$(date +%Y%m%dT%H%M%SZ).dump
  part=$folder/.$name.part
  for schema in ${BACKUP_SCHEMAS:-}; do schemas+=(--schema "$schema"); done
  pg_dump --format custom --compress 6 --no-password --lock-wait-timeout 10min "${schemas[@]}" --file "$part" --dbname "$address" || return 1
  pg_restore --list "$part" >/dev/null || return 1
  sync -- "$part" || return 1
  mv -- "$part" "$folder/$name" || return 1
  tell "made $folder/$name, $(stat -c %s "$folder/$name") bytes"
}

# One backup: how it went stands in the folder, for `check`.
once() {
  if [[ ! -d $folder || ! -w $folder ]]; then
    tell "FAILED: the folder $folder is not there, or user $(id -u) may not write to it"
    return 1
  fi
  umask 077
  if dump; then
    rm -f -- "$failed"
    tidy
  else
    rm -f -- "$folder"/.lazi-*.part
    tell "FAILED; the reason stands above. The backups in $folder are as they were."
    date +%FT%TZ >"$failed" || true
    return 1
  fi
}

check() {
  local seconds
  if ! seconds=$(age); then
    echo "there is no backup in $folder yet"
    return 1
  fi
  if [[ -e $failed ]]; then
    echo "the backup of $(<"$failed") failed; the newest good one is $((seconds / 3600)) hours old"
    return 1
  fi
  if ((seconds > late_hours * 3600)); then
    echo "the newest backup is $((seconds / 3600)) hours old; there should be one a day"
    return 1
  fi
  echo "the newest backup is $((seconds / 3600)) hours old"
}

# Seconds until the hour of backups comes.
until_next() {
  local now next
  now=$(date +%s)
  next=$(date -d "today $at" +%s)
  ((next > now)) || next=$(date -d "tomorrow $at" +%s)
  echo $((next - now))
}

daily() {
  local pause=60 seconds
  trap 'exit 0' TERM INT
  if ! date -d "today $at" >/dev/null 2>&1; then
    tell "BACKUP_AT is '$at', allowed is an hour such as 02:30"
    exit 2
  fi
  if seconds=$(age) && ((seconds < 86400)) && [[ ! -e $failed ]]; then
    tell "the newest one is $((seconds / 3600)) hours old; the next one comes at $at UTC"
    rest "$(until_next)"
  fi
  while true; do
    if once & wait $!; then
      pause=60
      rest "$(until_next)"
    else
      tell "tried again in $((pause / 60)) min"
      rest "$pause"
      pause=$((pause * 2 > 3600 ? 3600 : pause * 2))
    fi
  done
}

# Waits in a way that a signal ends at once.
rest() {
  sleep "$1" &
  wait $!
}

case ${1:-} in
  daily | once | check) "$1" ;;
  *)
    echo "usage: backup.sh daily | once | check" >&2
    exit 2
    ;;
esac
