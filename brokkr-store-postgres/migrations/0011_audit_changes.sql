-- What an update changed: a JSON Patch, and whether it is truncated. Absent for other records.
ALTER TABLE brokkr.audit ADD COLUMN changes jsonb;
