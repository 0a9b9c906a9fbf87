-- One PostgreSQL for everything that THUNES keeps: a database a store, for each of the four has tables
-- of the same names (alembic_version, runs, …). Run once, as a user who may create databases:
--   psql -v password="'…'" -f deploy/postgres/create-databases.sql
CREATE ROLE thunes LOGIN PASSWORD :password;
CREATE DATABASE thunes_dagster OWNER thunes; -- runs, events, schedules
CREATE DATABASE thunes_mlflow OWNER thunes;  -- registry and experiments
CREATE DATABASE thunes_studies OWNER thunes; -- Optuna: every trial ever run
CREATE DATABASE thunes_ledger OWNER thunes;  -- intents, orders, fills, audit
