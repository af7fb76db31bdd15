MODEL (
  name crm.contacts,
  kind VIEW,
  cron '@yearly',
  interval_unit year,
  allow_partials false,
  description 'Every way to reach a customer: its own contact methods and those of its locations. Deleted and inactive ones are left out.',
  grains ((tenant_id, owner_type, contact_id)),
  audits (
    not_null(columns := (tenant_id, owner_type, contact_id, is_primary)),
    unique_combination_of_columns(columns := (tenant_id, owner_type, contact_id))
  )
);

WITH methods AS (
  SELECT
    k.tenant_id,
    k.st_id,
    'customer' AS owner_type,
    k.customer_id AS owner_id,
    k.customer_id,
    k.type,
    k.value,
    k.memo,
    k.phone_settings_do_not_text,
    k.modified_on
  FROM master.customer_contacts AS k
  WHERE
    NOT k.is_deleted AND COALESCE(k.active, TRUE)
  UNION ALL
  SELECT
    k.tenant_id,
    k.st_id,
    'location' AS owner_type,
    k.location_id AS owner_id,
    l.customer_id,
    k.type,
    k.value,
    k.memo,
    k.phone_settings_do_not_text,
    k.modified_on
  FROM master.location_contacts AS k
  LEFT JOIN master.locations AS l
    ON l.tenant_id = k.tenant_id AND l.st_id = k.location_id
  WHERE
    NOT k.is_deleted AND COALESCE(k.active, TRUE)
)
SELECT
  CAST(m.tenant_id AS BIGINT) AS tenant_id, /* The ServiceTitan tenant */
  CAST(m.st_id AS BIGINT) AS contact_id, /* The contact method's id in ServiceTitan */
  CAST(m.owner_type AS TEXT) AS owner_type, /* customer or location: whose method it is */
  CAST(m.owner_id AS BIGINT) AS owner_id, /* The customer's or the location's id */
  CAST(m.customer_id AS BIGINT) AS customer_id, /* The customer, or the one whose location it is */
  CAST(f.name AS TEXT) AS customer_name, /* The customer's name */
  CAST(m.type AS TEXT) AS type, /* Phone, MobilePhone, Fax or Email */
  CAST(m.value AS TEXT) AS value, /* The number or address as ServiceTitan has it */
  CAST(CASE
    WHEN m.type = 'Email'
    THEN LOWER(TRIM(m.value))
    ELSE REGEXP_REPLACE(m.value, '[^0-9]', '', 'g')
  END AS TEXT) AS normalized_value, /* For comparing: an e-mail address in lower case, else the digits alone */
  CAST(m.memo AS TEXT) AS memo, /* What was noted about it */
  CAST(m.phone_settings_do_not_text AS BOOLEAN) AS do_not_text, /* Whether no texts are to be sent to it */
  CAST(m.owner_type = 'customer' AND COALESCE(m.st_id IN (f.primary_phone_id, f.primary_email_id), FALSE) AS BOOLEAN) AS is_primary, /* Whether it is the customer's primary phone number or e-mail address */
  CAST(m.modified_on AS TIMESTAMPTZ) AS modified_on /* When it was last modified */
FROM methods AS m
LEFT JOIN crm.customer_facts AS f
  ON f.tenant_id = m.tenant_id AND f.customer_id = m.customer_id
