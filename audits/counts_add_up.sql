/* The parts of a count are its whole: each job has one status, and an estimate has at most one of the three known. */
AUDIT (
  name counts_add_up
);

SELECT
  tenant_id,
  customer_id
FROM @this_model
WHERE
  job_count <> open_job_count + hold_job_count + completed_job_count + canceled_job_count
  OR estimate_count < open_estimate_count + sold_estimate_count + dismissed_estimate_count
