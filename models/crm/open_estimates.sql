MODEL (
  name crm.open_estimates,
  kind VIEW,
  cron '@yearly',
  interval_unit year,
  allow_partials false,
  description 'Estimates that await the customer''s answer, with whom to call. urgency by age: `fresh` up to due_days, `due` up to overdue_days, `overdue` up to stale_days, then `stale`. The thresholds are variables in config.py.',
  grains ((tenant_id, estimate_id)),
  audits (
    not_null(columns := (tenant_id, estimate_id)),
    unique_combination_of_columns(columns := (tenant_id, estimate_id)),
    accepted_values(column := urgency, is_in := ('fresh', 'due', 'overdue', 'stale'))
  )
);

SELECT
  CAST(e.tenant_id AS BIGINT) AS tenant_id, /* The ServiceTitan tenant */
  CAST(e.st_id AS BIGINT) AS estimate_id, /* The estimate's id in ServiceTitan */
  CAST(e.name AS TEXT) AS name, /* The estimate's name */
  CAST(e.customer_id AS BIGINT) AS customer_id, /* Whom it was made for */
  CAST(f.name AS TEXT) AS customer_name, /* The customer's name */
  CAST(f.primary_phone AS TEXT) AS customer_phone, /* The customer's primary phone number */
  CAST(f.primary_email AS TEXT) AS customer_email, /* The customer's primary e-mail address */
  CAST(f.do_not_service AS BOOLEAN) AS customer_do_not_service, /* Whether the customer is not to be served */
  CAST(e.job_id AS BIGINT) AS job_id, /* The job on which it was made */
  CAST(e.job_number AS TEXT) AS job_number, /* The job's number */
  CAST(e.project_id AS BIGINT) AS project_id, /* The project it belongs to */
  CAST(e.location_id AS BIGINT) AS location_id, /* Where the work would be done */
  CAST(e.business_unit_id AS BIGINT) AS business_unit_id, /* The business unit that made it */
  CAST(e.business_unit_name AS TEXT) AS business_unit_name, /* The business unit's name */
  CAST(e.sold_by AS BIGINT) AS sold_by, /* The employee or technician whom ServiceTitan names as its seller */
  CAST(e.review_status AS TEXT) AS review_status, /* None, NeedsApproval, Approved or NotApproved */
  CAST(e.is_recommended AS BOOLEAN) AS is_recommended, /* Whether it is the recommended one of its proposal */
  CAST(e.proposal_tag_name AS TEXT) AS proposal_tag_name, /* The proposal's tag: estimates that share one are alternatives */
  CAST(e.subtotal AS NUMERIC(18, 6)) AS subtotal, /* Amount before tax */
  CAST(e.tax AS NUMERIC(18, 6)) AS tax, /* Tax */
  CAST(e.subtotal + COALESCE(e.tax, 0) AS NUMERIC(18, 6)) AS total, /* Amount with tax */
  CAST(e.created_on AS TIMESTAMPTZ) AS created_on, /* When it was made */
  CAST(e.modified_on AS TIMESTAMPTZ) AS modified_on, /* When it was last modified */
  CAST(@days_since(e.created_on) AS BIGINT) AS age_days, /* Days since it was made */
  CAST(CASE
    WHEN @days_since(e.created_on) <= @due_days
    THEN 'fresh'
    WHEN @days_since(e.created_on) <= @overdue_days
    THEN 'due'
    WHEN @days_since(e.created_on) <= @stale_days
    THEN 'overdue'
    ELSE 'stale'
  END AS TEXT) AS urgency /* fresh, due, overdue or stale, by age */
FROM master.estimates AS e
LEFT JOIN crm.customer_facts AS f
  ON f.tenant_id = e.tenant_id AND f.customer_id = e.customer_id
WHERE
  e.status_name = 'Open' AND NOT e.is_deleted AND COALESCE(e.active, TRUE)
