"""Does with python-gitlab what its users do, against the lab in LAB_URL.

LAB_TOKEN is an administrator's, LAB_REGISTRATION the instance's registration
token, LAB_VERSION the GitLab it is. Ends with status 0 when every answer was as
the library expects it.
"""

import json
import os
import urllib.request

import gitlab

URL, VERSION = os.environ["LAB_URL"], os.environ["LAB_VERSION"]
ADMIN = gitlab.Gitlab(URL, private_token=os.environ["LAB_TOKEN"])
CONFIG = "e2e:\n  tags: [e2e]\n  script: ['echo e2e']\n"


def same(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")


def refused(what, status, call):
    try:
        call()
    except gitlab.exceptions.GitlabError as e:
        same(what, e.response_code, status)
        return
    raise SystemExit(f"{what}: got no error, want {status}")


def machine(method, path, body, job_token=None):
    """Sends a runner's request, which the library has no call for."""
    request = urllib.request.Request(URL + "/api/v4/" + path, method=method)
    if isinstance(body, str):
        request.data = body.encode()
        request.add_header("Content-Type", "text/plain")
        request.add_header("Content-Range", f"0-{len(body) - 1}")
    else:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if job_token:
        request.add_header("Job-Token", job_token)
    with urllib.request.urlopen(request) as answer:
        return answer.status, answer.read()


def people():
    user = ADMIN.users.create({"username": "dev", "name": "Dev", "email": "dev@example.com", "force_random_password": True})
    same("users called dev", [u.id for u in ADMIN.users.list(username="dev")], [user.id])
    token = user.personal_access_tokens.create({"name": "e2e", "scopes": ["api"]})
    dev = gitlab.Gitlab(URL, private_token=token.token)
    dev.auth()
    same("who the token speaks for", dev.user.username, "dev")
    same("the version", dev.version()[0].split("-")[0], VERSION)
    same("the token itself", dev.http_get("/personal_access_tokens/self")["scopes"], ["api"])
    return user, dev


def places(user):
    group = ADMIN.groups.create({"name": "Acme", "path": "acme"})
    same("the subgroup", ADMIN.groups.create({"name": "Sub", "path": "sub", "parent_id": group.id}).full_path, "acme/sub")
    project = ADMIN.projects.create({"name": "Web", "path": "web", "namespace_id": group.id, "initialize_with_readme": True})
    same("the project by its path", ADMIN.projects.get("acme/web").id, project.id)
    project.description = "edited"
    project.ci_pipeline_variables_minimum_override_role = "developer"
    project.save()
    same("the project's description", ADMIN.projects.get(project.id).description, "edited")
    project.files.create({"file_path": ".gitlab-ci.yml", "branch": "main", "content": CONFIG, "commit_message": "ci [skip ci]"})
    same("the file", project.files.get(".gitlab-ci.yml", ref="main").decode().decode(), CONFIG)
    same("lint", project.ci_lint.get().valid, True)
    member = group.members.create({"user_id": user.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
    member.access_level = gitlab.const.AccessLevel.OWNER
    member.save()
    same("the member", group.members.get(user.id).access_level, 50)
    same("members of the project", user.id in [m.id for m in project.members_all.list(iterator=True)], True)
    return group, project


def settings():
    s = ADMIN.settings.get()
    same("registration tokens", s.allow_runner_registration_token, True)
    s.project_runner_token_expiration_interval = 864000
    s.save()
    same("the tokens' life", ADMIN.settings.get().project_runner_token_expiration_interval, 864000)


def variables(group, project):
    v = project.variables.create({"key": "KEY", "value": "CANARYvalue01", "masked": True})
    v.value, v.variable_type = "CANARYvalue02", "file"
    v.save()
    got = project.variables.get("KEY")
    same("the variable", (got.value, got.variable_type, got.masked, got.environment_scope), ("CANARYvalue02", "file", True, "*"))
    group.variables.create({"key": "OF_GROUP", "value": "x"})
    same("the group's variables", [v.key for v in group.variables.list()], ["OF_GROUP"])
    v.delete()
    same("the project's variables", project.variables.list(), [])


def create(client, **attributes):
    return client.http_post("/user/runners", post_data=attributes)


def runners(dev, group, project):
    made = create(dev, runner_type="project_type", project_id=project.id, description="e2e", tag_list="e2e,linux", run_untagged=False)
    same("the new token", (made["token"][:5], made["token_expires_at"] is None), ("glrt-", False))
    create(ADMIN, runner_type="instance_type", tag_list=["other"])
    create(dev, runner_type="group_type", group_id=group.id, tag_list=["other"])
    ADMIN.runners.verify(made["token"])
    same("runners with both tags", [r.id for r in ADMIN.runners_all.list(tag_list=["e2e", "linux"])], [made["id"]])
    same("all runners", len(ADMIN.runners.all()), 3)
    same("pages", len(list(ADMIN.runners_all.list(per_page=1, iterator=True))), 3)
    same("the project's own", [r.id for r in project.runners.list(type="project_type")], [made["id"]])
    same("the group's own", len(group.runners.list(type="group_type")), 1)
    runner = dev.runners.get(made["id"])
    same("the details", (runner.description, runner.tag_list, runner.run_untagged), ("e2e", ["e2e", "linux"], False))
    runner.description, runner.tag_list, runner.paused = "renamed", ["e2e"], True
    runner.save()
    same("paused runners", [r.description for r in dev.runners.list(paused=True)], ["renamed"])
    runner.paused = False
    runner.save()
    token = dev.http_post(f"/runners/{runner.id}/reset_authentication_token")["token"]
    same("a poll with the fresh token", machine("POST", "jobs/request", {"token": token, "system_id": "s_e2e"})[0], 204)
    if int(VERSION.split(".")[0]) >= 17:
        managers = dev.http_list(f"/runners/{runner.id}/managers")
        # verify, which the library calls without a system id, left another
        same("the manager", [m["status"] for m in managers if m["system_id"] == "s_e2e"], ["online"])
    return runner, token


def registration(dev):
    legacy = ADMIN.runners.create({"token": os.environ["LAB_REGISTRATION"], "description": "legacy", "tag_list": ["legacy"], "info": {"name": "e2e"}})
    same("the legacy tags", ADMIN.runners.get(legacy.id).tag_list, ["legacy"])
    ADMIN.runners.delete(legacy.id)
    refused("the deleted runner", 404, lambda: ADMIN.runners.get(legacy.id))


def jobs(dev, project, runner, token):
    project = dev.projects.get(project.id)
    pipeline = project.pipelines.create({"ref": "main", "variables": [{"key": "WHO", "value": "e2e"}]})
    same("pipeline variables", [v.key for v in pipeline.variables.list()], ["WHO"])
    pending = pipeline.jobs.list(scope="pending")
    status, body = machine("POST", "jobs/request", {"token": token, "system_id": "s_e2e"})
    given = json.loads(body)
    same("the job that was given", (status, given["id"]), (201, pending[0].id))
    same("the trace is taken", machine("PATCH", f"jobs/{given['id']}/trace", "hello e2e\n", given["token"])[0], 202)
    same("the end", machine("PUT", f"jobs/{given['id']}", {"token": given["token"], "state": "success"})[0], 200)
    job = project.jobs.get(given["id"])
    same("the job", (job.status, job.runner["id"], job.trace()), ("success", runner.id, b"hello e2e\n"))
    pipeline.refresh()
    same("the pipeline", pipeline.status, "success")
    same("the runner's jobs", [j.id for j in dev.runners.get(runner.id).jobs.list()], [job.id])
    job.erase()
    job.retry()
    again = project.jobs.list(scope="pending")[0]
    again.cancel()
    same("cancelled", project.jobs.get(again.id).status, "canceled")


def main():
    user, dev = people()
    group, project = places(user)
    settings()
    variables(group, project)
    runner, token = runners(dev, group, project)
    registration(dev)
    jobs(dev, project, runner, token)
    runner.delete()
    refused("the deleted runner", 404, lambda: ADMIN.runners.get(runner.id))
    refused("all runners for a user", 403, lambda: dev.runners.all())
    refused("an unknown token", 401, lambda: gitlab.Gitlab(URL, private_token="glpat-CANARYunknown").auth())
    refused("an unknown kind of runner", 400, lambda: create(dev, runner_type="CANARY_type"))


main()
