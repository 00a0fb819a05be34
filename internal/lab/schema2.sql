-- What administrators and projects set beside the application settings, and
-- what the later parts of the job protocol keep.
CREATE TABLE plan_limits (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE feature_flags (name TEXT PRIMARY KEY, gate TEXT NOT NULL, value TEXT NOT NULL) STRICT;
CREATE TABLE variables (
  id INTEGER PRIMARY KEY AUTOINCREMENT, source_kind TEXT NOT NULL, source_id INTEGER NOT NULL, key TEXT NOT NULL, value_sealed BLOB NOT NULL,
  variable_type TEXT NOT NULL, protected INTEGER NOT NULL, masked INTEGER NOT NULL, hidden INTEGER NOT NULL, raw INTEGER NOT NULL,
  environment_scope TEXT NOT NULL, description TEXT, updated_at INTEGER NOT NULL, UNIQUE (source_kind, source_id, key, environment_scope)) STRICT;
CREATE TABLE audit_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, author_id INTEGER NOT NULL, entity_type TEXT NOT NULL, entity_id INTEGER NOT NULL, event TEXT NOT NULL,
  details TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;
CREATE INDEX audit_events_by_entity ON audit_events(entity_type, entity_id);
ALTER TABLE runners ADD COLUMN token_rotation_deadline INTEGER;
ALTER TABLE users ADD COLUMN bot_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN bot_source INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access_tokens ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE access_tokens ADD COLUMN replaces INTEGER;
ALTER TABLE namespaces ADD COLUMN stale_pruning INTEGER NOT NULL DEFAULT 0;
ALTER TABLE namespaces ADD COLUMN shared_runners_setting TEXT NOT NULL DEFAULT 'enabled';
ALTER TABLE namespaces ADD COLUMN max_artifacts_size INTEGER;
ALTER TABLE projects ADD COLUMN max_artifacts_size INTEGER;
ALTER TABLE projects ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN acknowledge_by INTEGER;
ALTER TABLE jobs ADD COLUMN final_since INTEGER;
