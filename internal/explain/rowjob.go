package explain

import "rekey"

// jobRows are the lines about one job. People take them for token problems: a job
// ends with `ERROR`, and its own token, its images and its repository are refused
// with 401 and 403 too. Only a runner whose token GitLab accepts has a job at all.
var jobRows = []row{
	{
		id: "job-prepare-failed", versions: "all",
		says: []string{
			"^Job failed (system failure)", "Preparation failed: ", "^Failed to process runner", "Cannot connect to the Docker daemon at",
			"Failed to pull image", "failed to pull image", "ImagePullBackOff", "prepare environment: ",
		},
		means:   "The runner got a job and could not run it: its executor, an image, a registry or the machine was in the way.",
		bearing: NotToken, remedy: "Leave the runner's token as it is; mend what the line names (image and registry, Docker, cluster, the shell's profile).", next: "The job's log in GitLab, which has the whole message.",
	},
	{
		id: "job-failed", versions: "all", says: []string{"^Job failed: ", "^Job failed (", "^Job failed  "},
		means:   "A job ran and its script ended with an error, or in too long a time: GitLab accepts the runner's token.",
		bearing: NotToken, remedy: "Leave the runner's token as it is; look at the job.", next: "The job's log in GitLab.",
	},
	{
		id: "job-artifacts", versions: "all", says: []string{"Uploading artifacts…to coordinator...", "Downloading artifacts…from coordinator..."},
		means:   "A job exchanged artifacts with GitLab, by its own token and under GitLab's size limits. The runner's token has no part in it.",
		bearing: NotToken, remedy: "Leave the runner's token as it is. 401 and 403: the job had ended, or may not read that project; 413: the artifacts are larger than GitLab, or the proxy before it, takes.", next: "The job's log in GitLab, and the limit of artifacts' size in its settings.",
	},
	{
		id: "job-git", versions: "all", says: []string{"The requested URL returned error: 40", "HTTP Basic: Access denied", "fatal: unable to access '", "fatal: Authentication failed for"},
		means:   "git in a job was refused or did not get through. It uses the job's own token, or credentials of the script; never the runner's token.",
		bearing: NotToken, remedy: "Leave the runner's token as it is. Check that who started the job may read that project, and its job token allowlist (Settings > CI/CD > Job token permissions); for another address, the network.", next: "The job's log in GitLab: which address, and who started the job.",
	},
	{
		id: "job-succeeded", versions: "all", says: []string{"^Job succeeded", "^Submitting job to coordinator... ok", "^Appending trace to coordinator... ok"},
		means:   "A job runs or ran: GitLab accepted the runner's token.",
		bearing: Fine, remedy: "Nothing is needed.", next: "Nothing more is needed.",
	},
	{
		id: "job-stuck", versions: "GitLab's page of a job", says: []string{"This job is stuck because", "This job is stuck, because", "job is in pending state and is waiting to be picked by a runner"},
		means:   "GitLab has no runner that is online and may take this job: none with its tags, none for its project or ref, or those that could are offline, paused or refused.",
		causes:  causes(rekey.OnlineButIdle, rekey.WrongScope, rekey.RecordDeleted, rekey.RotatedElsewhere),
		bearing: Unclear, remedy: "Find out which runner was meant to take the job. Online: compare its tags, projects and protection with the job. Offline: its token may be refused.", next: "`rekey doctor --job URL` with the job's address; `rekey doctor` on the host of a runner that is offline.",
	},
}
