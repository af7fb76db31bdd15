MODEL (
  name crm.customer_360,
  kind VIEW,
  cron '@yearly',
  interval_unit year,
  allow_partials false,
  description 'A customer as of now: crm.customer_facts with what depends on the day it is read. engagement_status: `inactive` when the customer is inactive, deleted or merged away, or was last active more than dormant_days ago; `new` within new_days of its creation while no job is completed; `active` with a job open or on hold, an appointment to come, or activity within active_days; `recent` within recent_days; `dormant` within dormant_days. value_tier: `high` from high_value of lifetime value, `medium` from medium_value, else `low`. The thresholds are variables in config.py.',
  grains ((tenant_id, customer_id)),
  audits (
    not_null(columns := (tenant_id, customer_id, lifetime_value)),
    unique_combination_of_columns(columns := (tenant_id, customer_id)),
    accepted_values(column := engagement_status, is_in := ('new', 'active', 'recent', 'dormant', 'inactive')),
    accepted_values(column := value_tier, is_in := ('high', 'medium', 'low'))
  )
);

WITH today AS (
  SELECT
    f.tenant_id,
    f.customer_id,
    @days_since(f.created_on) AS customer_age_days,
    CASE WHEN f.next_appointment_on <= CURRENT_TIMESTAMP THEN GREATEST(f.last_activity_at, f.next_appointment_on) ELSE f.last_activity_at END AS last_activity_at,
    CASE WHEN f.invoice_count > 0 THEN f.invoice_total ELSE f.sold_estimate_value END AS lifetime_value,
    NOT COALESCE(f.active, TRUE) OR f.is_deleted OR NOT f.merged_to_id IS NULL AS is_gone,
    f.open_job_count + f.hold_job_count > 0 OR COALESCE(f.next_appointment_on > CURRENT_TIMESTAMP, FALSE) AS is_under_way
  FROM crm.customer_facts AS f
)
SELECT
  CAST(f.tenant_id AS BIGINT) AS tenant_id, /* The ServiceTitan tenant */
  CAST(f.customer_id AS BIGINT) AS customer_id, /* The customer's id in ServiceTitan */
  CAST(f.name AS TEXT) AS name, /* The customer's name */
  CAST(f.type AS TEXT) AS type, /* Residential or Commercial */
  CAST(f.active AS BOOLEAN) AS active, /* ServiceTitan's own mark: whether the customer is in use */
  CAST(f.is_deleted AS BOOLEAN) AS is_deleted, /* Whether ServiceTitan last said that the customer is gone or inactive */
  CAST(f.merged_to_id AS BIGINT) AS merged_to_id, /* The customer that this one was merged into */
  CAST(f.do_not_service AS BOOLEAN) AS do_not_service, /* Whether the customer is not to be served */
  CAST(f.do_not_mail AS BOOLEAN) AS do_not_mail, /* Whether the customer is not to be written to */
  CAST(f.created_on AS TIMESTAMPTZ) AS created_on, /* When the customer was created in ServiceTitan */
  CAST(t.customer_age_days AS BIGINT) AS customer_age_days, /* Days since then */
  CAST(CASE
    WHEN t.is_gone
    THEN 'inactive'
    WHEN t.customer_age_days <= @new_days AND f.completed_job_count = 0
    THEN 'new'
    WHEN t.is_under_way OR @days_since(t.last_activity_at) <= @active_days
    THEN 'active'
    WHEN @days_since(t.last_activity_at) <= @recent_days
    THEN 'recent'
    WHEN @days_since(t.last_activity_at) <= @dormant_days
    THEN 'dormant'
    ELSE 'inactive'
  END AS TEXT) AS engagement_status, /* new, active, recent, dormant or inactive; see the model's description */
  CAST(CASE
    WHEN t.lifetime_value >= @high_value
    THEN 'high'
    WHEN t.lifetime_value >= @medium_value
    THEN 'medium'
    ELSE 'low'
  END AS TEXT) AS value_tier, /* high, medium or low lifetime value */
  CAST(t.lifetime_value AS NUMERIC(18, 6)) AS lifetime_value, /* What was invoiced, with tax; before the first invoice what was sold on estimates, before tax */
  CAST(t.last_activity_at AS TIMESTAMPTZ) AS last_activity_at, /* The latest creation of the customer, of a job or of an estimate, completion, sale, invoice date or appointment that is past */
  CAST(GREATEST(@days_since(t.last_activity_at), 0) AS BIGINT) AS days_since_last_activity, /* Days since then */
  CAST(f.balance AS NUMERIC(18, 6)) AS balance, /* What the customer owes by ServiceTitan's own account */
  CAST(f.address_street AS TEXT) AS address_street, /* Billing address: street */
  CAST(f.address_unit AS TEXT) AS address_unit, /* Billing address: unit */
  CAST(f.address_city AS TEXT) AS address_city, /* Billing address: city */
  CAST(f.address_state AS TEXT) AS address_state, /* Billing address: state */
  CAST(f.address_zip AS TEXT) AS address_zip, /* Billing address: ZIP or postal code */
  CAST(f.address_country AS TEXT) AS address_country, /* Billing address: country */
  CAST(f.primary_phone AS TEXT) AS primary_phone, /* The most recently modified mobile number, else any other phone number */
  CAST(f.primary_email AS TEXT) AS primary_email, /* The most recently modified e-mail address */
  CAST(f.job_count AS BIGINT) AS job_count, /* Jobs of any status */
  CAST(f.open_job_count AS BIGINT) AS open_job_count, /* Jobs scheduled, dispatched, in progress or of a status not known here */
  CAST(f.hold_job_count AS BIGINT) AS hold_job_count, /* Jobs on hold */
  CAST(f.completed_job_count AS BIGINT) AS completed_job_count, /* Jobs completed */
  CAST(f.canceled_job_count AS BIGINT) AS canceled_job_count, /* Jobs canceled */
  CAST(f.first_job_on AS TIMESTAMPTZ) AS first_job_on, /* When the first job was created */
  CAST(f.last_job_on AS TIMESTAMPTZ) AS last_job_on, /* When the last job was created */
  CAST(f.last_job_completed_on AS TIMESTAMPTZ) AS last_job_completed_on, /* When a job was last completed */
  CAST(f.estimate_count AS BIGINT) AS estimate_count, /* Estimates of any status */
  CAST(f.open_estimate_count > 0 AS BOOLEAN) AS has_open_estimates, /* Whether an estimate awaits an answer */
  CAST(f.open_estimate_count AS BIGINT) AS open_estimate_count, /* Estimates that await an answer */
  CAST(f.sold_estimate_count AS BIGINT) AS sold_estimate_count, /* Estimates sold */
  CAST(f.dismissed_estimate_count AS BIGINT) AS dismissed_estimate_count, /* Estimates dismissed */
  CAST(f.open_estimate_value AS NUMERIC(18, 6)) AS open_estimate_value, /* Sum of open estimates before tax */
  CAST(f.sold_estimate_value AS NUMERIC(18, 6)) AS sold_estimate_value, /* Sum of sold estimates before tax */
  CAST(f.oldest_open_estimate_on AS TIMESTAMPTZ) AS oldest_open_estimate_on, /* When the oldest open estimate was created */
  CAST(f.invoice_count AS BIGINT) AS invoice_count, /* Invoices, adjustments included */
  CAST(f.invoice_total AS NUMERIC(18, 6)) AS invoice_total, /* Sum of invoices with tax; adjustments count with their sign */
  CAST(f.invoice_balance AS NUMERIC(18, 6)) AS invoice_balance, /* What is unpaid of them */
  CAST(f.last_invoice_on AS TIMESTAMPTZ) AS last_invoice_on, /* The latest invoice date, which may lie ahead */
  CAST(CASE WHEN f.next_appointment_on <= CURRENT_TIMESTAMP THEN f.next_appointment_on ELSE f.last_appointment_on END AS TIMESTAMPTZ) AS last_appointment_on, /* Start of the last appointment that has begun */
  CAST(CASE WHEN f.next_appointment_on > CURRENT_TIMESTAMP THEN f.next_appointment_on END AS TIMESTAMPTZ) AS next_appointment_on, /* Start of the next appointment */
  CAST(f.modeled_at AS TIMESTAMPTZ) AS modeled_at /* The newest change in master that this row knows of */
FROM crm.customer_facts AS f
INNER JOIN today AS t
  ON t.tenant_id = f.tenant_id AND t.customer_id = f.customer_id
