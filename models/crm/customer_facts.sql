MODEL (
  name crm.customer_facts,
  kind INCREMENTAL_BY_UNIQUE_KEY (
    unique_key (tenant_id, customer_id)
  ),
  description 'One row a customer: who it is, how to reach it, and sums over its jobs, estimates, invoices and appointments. Recomputed only for customers that something happened to. What depends on today stands in crm.customer_360. Deleted and inactive jobs, estimates, invoices and contacts are left out; deleted customers stay, marked.',
  grains ((tenant_id, customer_id)),
  audits (
    not_null(columns := (tenant_id, customer_id, job_count, estimate_count, invoice_count, modeled_at)),
    unique_combination_of_columns(columns := (tenant_id, customer_id)),
    counts_add_up
  )
);

WITH touched AS (
  @touched_customers(
    customer_contacts := 'customerId',
    jobs := 'customerId',
    estimates := 'customerId',
    invoices := 'customer.id',
    appointments := 'customerId'
  )
), contacts AS (
  SELECT
    k.tenant_id,
    k.customer_id,
    k.st_id,
    k.type,
    k.value,
    ROW_NUMBER() OVER (
      PARTITION BY k.tenant_id, k.customer_id, CASE WHEN k.type = 'Email' THEN 'email' ELSE 'phone' END
      ORDER BY CASE k.type WHEN 'Phone' THEN 2 ELSE 1 END, k.modified_on DESC NULLS LAST, k.st_id
    ) AS preference
  FROM master.customer_contacts AS k
  INNER JOIN touched AS t
    ON t.tenant_id = k.tenant_id AND t.customer_id = k.customer_id
  WHERE
    k.type IN ('MobilePhone', 'Phone', 'Email')
    AND COALESCE(TRIM(k.value), '') <> ''
    AND NOT k.is_deleted
    AND COALESCE(k.active, TRUE)
), primary_contacts AS (
  SELECT
    k.tenant_id,
    k.customer_id,
    MAX(CASE WHEN k.type <> 'Email' THEN k.st_id END) AS phone_id,
    MAX(CASE WHEN k.type <> 'Email' THEN TRIM(k.value) END) AS phone,
    MAX(CASE WHEN k.type = 'Email' THEN k.st_id END) AS email_id,
    MAX(CASE WHEN k.type = 'Email' THEN TRIM(k.value) END) AS email
  FROM contacts AS k
  WHERE
    k.preference = 1
  GROUP BY
    k.tenant_id,
    k.customer_id
), jobs AS (
  SELECT
    j.tenant_id,
    j.customer_id,
    COUNT(*) AS job_count,
    COUNT(CASE WHEN j.job_status = 'Hold' THEN 1 END) AS hold_count,
    COUNT(CASE WHEN j.job_status = 'Completed' THEN 1 END) AS completed_count,
    COUNT(CASE WHEN j.job_status = 'Canceled' THEN 1 END) AS canceled_count,
    MIN(j.created_on) AS first_on,
    MAX(j.created_on) AS last_on,
    MAX(j.completed_on) AS last_completed_on
  FROM master.jobs AS j
  INNER JOIN touched AS t
    ON t.tenant_id = j.tenant_id AND t.customer_id = j.customer_id
  WHERE
    NOT j.is_deleted AND COALESCE(j.active, TRUE)
  GROUP BY
    j.tenant_id,
    j.customer_id
), estimates AS (
  SELECT
    e.tenant_id,
    e.customer_id,
    COUNT(*) AS estimate_count,
    COUNT(CASE WHEN e.status_name = 'Open' THEN 1 END) AS open_count,
    COUNT(CASE WHEN e.status_name = 'Sold' THEN 1 END) AS sold_count,
    COUNT(CASE WHEN e.status_name = 'Dismissed' THEN 1 END) AS dismissed_count,
    SUM(CASE WHEN e.status_name = 'Open' THEN e.subtotal END) AS open_value,
    SUM(CASE WHEN e.status_name = 'Sold' THEN e.subtotal END) AS sold_value,
    MIN(CASE WHEN e.status_name = 'Open' THEN e.created_on END) AS oldest_open_on,
    MAX(e.created_on) AS last_on,
    MAX(e.sold_on) AS last_sold_on
  FROM master.estimates AS e
  INNER JOIN touched AS t
    ON t.tenant_id = e.tenant_id AND t.customer_id = e.customer_id
  WHERE
    NOT e.is_deleted AND COALESCE(e.active, TRUE)
  GROUP BY
    e.tenant_id,
    e.customer_id
), invoices AS (
  SELECT
    i.tenant_id,
    i.customer_id,
    COUNT(*) AS invoice_count,
    SUM(i.total) AS total,
    SUM(i.balance) AS balance,
    MAX(i.invoice_date) AS last_on,
    MAX(CASE WHEN i.invoice_date <= CURRENT_TIMESTAMP THEN i.invoice_date END) AS last_past_on
  FROM master.invoices AS i
  INNER JOIN touched AS t
    ON t.tenant_id = i.tenant_id AND t.customer_id = i.customer_id
  WHERE
    NOT i.is_deleted AND COALESCE(i.active, TRUE)
  GROUP BY
    i.tenant_id,
    i.customer_id
), appointments AS (
  SELECT
    a.tenant_id,
    a.customer_id,
    MAX(CASE WHEN a.start <= CURRENT_TIMESTAMP THEN a.start END) AS last_on,
    MIN(CASE WHEN a.start > CURRENT_TIMESTAMP THEN a.start END) AS next_on
  FROM master.appointments AS a
  INNER JOIN touched AS t
    ON t.tenant_id = a.tenant_id AND t.customer_id = a.customer_id
  WHERE
    NOT a.is_deleted
    AND COALESCE(a.active, TRUE)
    AND NOT COALESCE(a.unused, FALSE)
    AND COALESCE(a.status, '') <> 'Canceled'
  GROUP BY
    a.tenant_id,
    a.customer_id
), newest AS (
  SELECT
    GREATEST(
      (SELECT MAX(modeled_at) FROM master.customers),
      (SELECT MAX(modeled_at) FROM master.customer_contacts),
      (SELECT MAX(modeled_at) FROM master.jobs),
      (SELECT MAX(modeled_at) FROM master.estimates),
      (SELECT MAX(modeled_at) FROM master.invoices),
      (SELECT MAX(modeled_at) FROM master.appointments)
    ) AS modeled_at
)
SELECT
  CAST(c.tenant_id AS BIGINT) AS tenant_id, /* The ServiceTitan tenant */
  CAST(c.st_id AS BIGINT) AS customer_id, /* The customer's id in ServiceTitan */
  CAST(c.name AS TEXT) AS name, /* The customer's name */
  CAST(c.type AS TEXT) AS type, /* Residential or Commercial */
  CAST(c.active AS BOOLEAN) AS active, /* ServiceTitan's own mark: whether the customer is in use */
  CAST(c.is_deleted AS BOOLEAN) AS is_deleted, /* Whether ServiceTitan last said that the customer is gone or inactive */
  CAST(c.merged_to_id AS BIGINT) AS merged_to_id, /* The customer that this one was merged into */
  CAST(c.do_not_service AS BOOLEAN) AS do_not_service, /* Whether the customer is not to be served */
  CAST(c.do_not_mail AS BOOLEAN) AS do_not_mail, /* Whether the customer is not to be written to */
  CAST(c.created_on AS TIMESTAMPTZ) AS created_on, /* When the customer was created in ServiceTitan */
  CAST(c.balance AS NUMERIC(18, 6)) AS balance, /* What the customer owes by ServiceTitan's own account */
  CAST(c.address_street AS TEXT) AS address_street, /* Billing address: street */
  CAST(c.address_unit AS TEXT) AS address_unit, /* Billing address: unit */
  CAST(c.address_city AS TEXT) AS address_city, /* Billing address: city */
  CAST(c.address_state AS TEXT) AS address_state, /* Billing address: state */
  CAST(c.address_zip AS TEXT) AS address_zip, /* Billing address: ZIP or postal code */
  CAST(c.address_country AS TEXT) AS address_country, /* Billing address: country */
  CAST(k.phone AS TEXT) AS primary_phone, /* The most recently modified mobile number, else any other phone number */
  CAST(k.phone_id AS BIGINT) AS primary_phone_id, /* The contact method that it comes from */
  CAST(k.email AS TEXT) AS primary_email, /* The most recently modified e-mail address */
  CAST(k.email_id AS BIGINT) AS primary_email_id, /* The contact method that it comes from */
  CAST(COALESCE(j.job_count, 0) AS BIGINT) AS job_count, /* Jobs of any status */
  CAST(COALESCE(j.job_count - j.hold_count - j.completed_count - j.canceled_count, 0) AS BIGINT) AS open_job_count, /* Jobs scheduled, dispatched, in progress or of a status not known here */
  CAST(COALESCE(j.hold_count, 0) AS BIGINT) AS hold_job_count, /* Jobs on hold */
  CAST(COALESCE(j.completed_count, 0) AS BIGINT) AS completed_job_count, /* Jobs completed */
  CAST(COALESCE(j.canceled_count, 0) AS BIGINT) AS canceled_job_count, /* Jobs canceled */
  CAST(j.first_on AS TIMESTAMPTZ) AS first_job_on, /* When the first job was created */
  CAST(j.last_on AS TIMESTAMPTZ) AS last_job_on, /* When the last job was created */
  CAST(j.last_completed_on AS TIMESTAMPTZ) AS last_job_completed_on, /* When a job was last completed */
  CAST(COALESCE(e.estimate_count, 0) AS BIGINT) AS estimate_count, /* Estimates of any status */
  CAST(COALESCE(e.open_count, 0) AS BIGINT) AS open_estimate_count, /* Estimates that await an answer */
  CAST(COALESCE(e.sold_count, 0) AS BIGINT) AS sold_estimate_count, /* Estimates sold */
  CAST(COALESCE(e.dismissed_count, 0) AS BIGINT) AS dismissed_estimate_count, /* Estimates dismissed */
  CAST(COALESCE(e.open_value, 0) AS NUMERIC(18, 6)) AS open_estimate_value, /* Sum of open estimates before tax */
  CAST(COALESCE(e.sold_value, 0) AS NUMERIC(18, 6)) AS sold_estimate_value, /* Sum of sold estimates before tax */
  CAST(e.oldest_open_on AS TIMESTAMPTZ) AS oldest_open_estimate_on, /* When the oldest open estimate was created */
  CAST(COALESCE(i.invoice_count, 0) AS BIGINT) AS invoice_count, /* Invoices, adjustments included */
  CAST(COALESCE(i.total, 0) AS NUMERIC(18, 6)) AS invoice_total, /* Sum of invoices with tax; adjustments count with their sign */
  CAST(COALESCE(i.balance, 0) AS NUMERIC(18, 6)) AS invoice_balance, /* What is unpaid of them */
  CAST(i.last_on AS TIMESTAMPTZ) AS last_invoice_on, /* The latest invoice date, which may lie ahead */
  CAST(a.last_on AS TIMESTAMPTZ) AS last_appointment_on, /* Start of the last appointment that had begun when this row was written */
  CAST(a.next_on AS TIMESTAMPTZ) AS next_appointment_on, /* Start of the first appointment that had not */
  CAST(GREATEST(
    c.created_on,
    j.last_on,
    j.last_completed_on,
    e.last_on,
    e.last_sold_on,
    i.last_past_on,
    a.last_on
  ) AS TIMESTAMPTZ) AS last_activity_at, /* The latest creation of the customer, of a job or of an estimate, completion, sale, invoice date or appointment that is past */
  CAST(n.modeled_at AS TIMESTAMPTZ) AS modeled_at /* The newest change in master that this row knows of */
FROM master.customers AS c
INNER JOIN touched AS t
  ON t.tenant_id = c.tenant_id AND t.customer_id = c.st_id
CROSS JOIN newest AS n
LEFT JOIN primary_contacts AS k
  ON k.tenant_id = c.tenant_id AND k.customer_id = c.st_id
LEFT JOIN jobs AS j
  ON j.tenant_id = c.tenant_id AND j.customer_id = c.st_id
LEFT JOIN estimates AS e
  ON e.tenant_id = c.tenant_id AND e.customer_id = c.st_id
LEFT JOIN invoices AS i
  ON i.tenant_id = c.tenant_id AND i.customer_id = c.st_id
LEFT JOIN appointments AS a
  ON a.tenant_id = c.tenant_id AND a.customer_id = c.st_id;

@index(tenant_id, customer_id);

@index(modeled_at);

@search_index(name, primary_email, primary_phone, address_street)
