-- Times are milliseconds since 1970, NULL for never. Token columns hold keyed
-- digests (…_digest) or AES-GCM ciphertexts (…_sealed), never a token.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL UNIQUE COLLATE NOCASE, name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE COLLATE NOCASE, admin INTEGER NOT NULL, state TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE access_tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE, name TEXT NOT NULL,
  digest BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL, expires_on TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, last_used_at INTEGER) STRICT;
CREATE TABLE namespaces (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, parent_id INTEGER REFERENCES namespaces(id) ON DELETE CASCADE,
  owner_id INTEGER REFERENCES users(id) ON DELETE CASCADE, name TEXT NOT NULL, path TEXT NOT NULL,
  full_path TEXT NOT NULL UNIQUE COLLATE NOCASE, description TEXT NOT NULL DEFAULT '', visibility TEXT NOT NULL DEFAULT 'private',
  allow_registration_token INTEGER NOT NULL, runner_registration_enabled INTEGER NOT NULL DEFAULT 1,
  runner_expiry INTEGER, subgroup_runner_expiry INTEGER, project_runner_expiry INTEGER,
  registration_digest BLOB UNIQUE, registration_sealed BLOB, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE projects (
  id INTEGER PRIMARY KEY AUTOINCREMENT, namespace_id INTEGER NOT NULL REFERENCES namespaces(id) ON DELETE CASCADE,
  creator_id INTEGER NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, full_path TEXT NOT NULL UNIQUE COLLATE NOCASE,
  description TEXT NOT NULL DEFAULT '', visibility TEXT NOT NULL DEFAULT 'private', default_branch TEXT NOT NULL DEFAULT 'main',
  ci_config_path TEXT NOT NULL DEFAULT '', shared_runners_enabled INTEGER NOT NULL DEFAULT 1, group_runners_enabled INTEGER NOT NULL DEFAULT 1,
  runner_registration_enabled INTEGER NOT NULL DEFAULT 1, runner_expiry INTEGER, variables_role TEXT NOT NULL, build_timeout INTEGER NOT NULL DEFAULT 3600,
  registration_digest BLOB UNIQUE, registration_sealed BLOB, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE members (
  source_kind TEXT NOT NULL, source_id INTEGER NOT NULL, user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  access_level INTEGER NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (source_kind, source_id, user_id)) STRICT;
CREATE TABLE runners (
  id INTEGER PRIMARY KEY AUTOINCREMENT, runner_type TEXT NOT NULL, group_id INTEGER REFERENCES namespaces(id) ON DELETE CASCADE,
  name TEXT NOT NULL DEFAULT '', description TEXT NOT NULL DEFAULT '', active INTEGER NOT NULL, locked INTEGER NOT NULL, run_untagged INTEGER NOT NULL,
  access_level TEXT NOT NULL, maximum_timeout INTEGER, maintenance_note TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL,
  token_digest BLOB NOT NULL UNIQUE, token_expires_at INTEGER, registration_type TEXT NOT NULL, creation_state TEXT NOT NULL,
  creator_id INTEGER, contacted_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE INDEX runners_by_group ON runners(group_id);
CREATE TABLE runner_projects (
  id INTEGER PRIMARY KEY AUTOINCREMENT, runner_id INTEGER NOT NULL REFERENCES runners(id) ON DELETE CASCADE,
  project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE, UNIQUE (runner_id, project_id)) STRICT;
CREATE INDEX runner_projects_by_project ON runner_projects(project_id);
CREATE TABLE managers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, runner_id INTEGER NOT NULL REFERENCES runners(id) ON DELETE CASCADE, system_id TEXT NOT NULL,
  version TEXT NOT NULL DEFAULT '', revision TEXT NOT NULL DEFAULT '', platform TEXT NOT NULL DEFAULT '', architecture TEXT NOT NULL DEFAULT '',
  executor TEXT NOT NULL DEFAULT '', ip_address TEXT NOT NULL DEFAULT '', features TEXT NOT NULL DEFAULT '{}', creation_state TEXT NOT NULL,
  contacted_at INTEGER, created_at INTEGER NOT NULL, UNIQUE (runner_id, system_id)) STRICT;
CREATE TABLE branches (
  project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE, name TEXT NOT NULL, sha TEXT NOT NULL, protected INTEGER NOT NULL,
  PRIMARY KEY (project_id, name)) STRICT;
CREATE TABLE commits (
  sha TEXT PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE, parent TEXT NOT NULL, message TEXT NOT NULL,
  author_id INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE files (
  project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE, branch TEXT NOT NULL, path TEXT NOT NULL, content BLOB NOT NULL,
  last_commit TEXT NOT NULL, PRIMARY KEY (project_id, branch, path)) STRICT;
CREATE TABLE triggers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE, owner_id INTEGER NOT NULL,
  description TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE pipelines (
  id INTEGER PRIMARY KEY AUTOINCREMENT, iid INTEGER NOT NULL, project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE,
  ref TEXT NOT NULL, sha TEXT NOT NULL, status TEXT NOT NULL, source TEXT NOT NULL, user_id INTEGER NOT NULL, variables TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER, UNIQUE (project_id, iid)) STRICT;
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, pipeline_id INTEGER NOT NULL REFERENCES pipelines(id) ON DELETE CASCADE,
  project_id INTEGER NOT NULL REFERENCES projects(id) ON DELETE CASCADE, name TEXT NOT NULL, stage TEXT NOT NULL, stage_index INTEGER NOT NULL,
  status TEXT NOT NULL, tags TEXT NOT NULL, run_when TEXT NOT NULL, allow_failure INTEGER NOT NULL, protected INTEGER NOT NULL, plan TEXT NOT NULL,
  user_id INTEGER NOT NULL, token_digest BLOB UNIQUE, runner_id INTEGER REFERENCES runners(id) ON DELETE SET NULL,
  manager_id INTEGER REFERENCES managers(id) ON DELETE SET NULL, failure_reason TEXT NOT NULL DEFAULT '', exit_code INTEGER,
  trace_size INTEGER NOT NULL DEFAULT 0, retried INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, queued_at INTEGER, started_at INTEGER,
  finished_at INTEGER, erased_at INTEGER) STRICT;
CREATE INDEX jobs_by_pipeline ON jobs(pipeline_id);
CREATE INDEX jobs_by_project ON jobs(project_id);
CREATE INDEX jobs_by_runner ON jobs(runner_id);
CREATE INDEX jobs_pending ON jobs(id) WHERE status = 'pending';
CREATE TABLE trace_chunks (
  job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, start INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (job_id, start)) STRICT;
CREATE TABLE artifacts (
  job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, file_type TEXT NOT NULL, file_format TEXT NOT NULL, filename TEXT NOT NULL,
  data BLOB NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (job_id, file_type)) STRICT;
