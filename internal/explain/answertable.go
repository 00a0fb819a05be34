package explain

import "rekey"

const curl = "`curl -sSI URL/api/v4/version` from the same host, as the service's user and with its proxy settings."

// answers refine the lines that carry a status=; the first that fits is taken.
// How status= is built is gitlab-runner's network/client.go.
var answers = []answer{
	// 403: only the plain refusal speaks of the token.
	{
		id: "not-gitlab-403", form: bareForm, codes: []int{403},
		means:   "The 403 is not GitLab's: its body was not GitLab's JSON. A proxy, a firewall or an access gateway answered, and nothing was said about the token.",
		causes:  causes(rekey.Unreachable, rekey.WrongInstance),
		bearing: Unclear, remedy: "Let the request through where it is stopped; change no token.", next: "Read the body: " + curl,
	},
	{
		id: "read-only", form: gitlabForm, codes: []int{403}, says: []string{"read-only", "read only", "maintenance"},
		means:   "GitLab is in maintenance mode or its database is read-only. It judged no token.",
		causes:  causes(rekey.ServerReadOnly),
		bearing: NotToken, remedy: "Wait until GitLab takes writes again; change no token.", next: "Ask the administrator.",
	},
	{
		id: "orphaned", form: gitlabForm, codes: []int{403, 422}, says: []string{"orphaned"},
		means:   "GitLab knows the token, but the group or project that owned the runner is gone.",
		causes:  causes(rekey.RunnerOrphaned),
		bearing: OnToken, remedy: "Create a runner where it belongs now: `rekey register`.", next: "Nothing more is needed.",
	},
	{
		id: "deadline", form: gitlabForm, codes: []int{403}, empty: true, lines: "reset-",
		means:   "GitLab refused with an `error` instead of a `message`: the deadline for rotating this token has passed, or the user token of --pat lacks the scope.",
		causes:  causes(rekey.TokenExpired),
		bearing: OnToken, remedy: "Create a new runner, or use a user token with `api` or `manage_runner`.", next: "The body of the answer.",
	},
	{
		id: "insufficient-scope", form: gitlabForm, codes: []int{403}, says: []string{"insufficient", "No access granted"},
		means:   "The user token may not do this. The runner's token was not judged.",
		bearing: NotToken, remedy: "Use a user token with `api` or `manage_runner` whose user may maintain the runner.", next: "The scopes of the user token.",
	},
	{
		id: "refused", form: gitlabForm, codes: []int{403}, says: []string{"403 Forbidden (403 Forbidden - invalid token supplied)"}, lines: "register-",
		means:   "GitLab refused the registration token: it was reset, belongs to another GitLab, or its scope may not register runners.",
		causes:  causes(rekey.LegacyRegistrationDisabled, rekey.WrongScope, rekey.WrongInstance, runnerTokenInLegacyField, rekey.MalformedToken),
		bearing: OnToken, remedy: newFlow, next: "Compare --url with the GitLab that the token was copied from.",
	},
	{
		id: "unexpected-403", form: gitlabForm, codes: []int{403}, says: []string{"403 Forbidden ("},
		means:   "GitLab answered 403 with a message of its own. Only the plain `403 Forbidden` speaks of the token.",
		causes:  causes(rekey.UnexpectedAnswer),
		bearing: Unclear, remedy: "Act on the message in brackets.", next: "GitLab's `api_json.log` at that time.",
	},

	// Registration switched off, plan limits, parameters.
	{
		number: 3, id: "gone", codes: []int{410},
		means:   "This GitLab no longer registers runners with registration tokens: the instance, the group or the project has them switched off. It says so to any value, good or bad.",
		causes:  causes(rekey.LegacyRegistrationDisabled),
		bearing: OnToken, remedy: newFlow, next: "Nothing more is needed.",
	},
	{
		number: 4, id: "plan-limit", says: []string{"Maximum number of ci registered", "runner_namespaces.base", "runner_projects.base"},
		means:   "The plan's limit of runners for this group or project is reached. The token is good.",
		bearing: NotToken, remedy: "Delete stale runners of the group or project (`rekey runner list`), or raise the limit.", next: "The runners page of the group or project.",
	},
	{
		number: 5, id: "empty-400", form: gitlabForm, codes: []int{400}, empty: true,
		means:   "GitLab missed a parameter: the brackets are empty because it answered `error` instead of `message`, as it does for an empty token.",
		causes:  causes(rekey.MalformedToken, rekey.EnvironmentReference),
		bearing: OnToken, remedy: "Fill the token: the variable, the secret or the section is empty.", next: "The length of the token's value.",
	},
	{
		number: 5, id: "not-gitlab-400", form: bareForm, codes: []int{400, 422},
		means:   "Something refused the request as malformed, and it was not GitLab's API: a proxy, or plain HTTP sent to a TLS port.",
		causes:  causes(rekey.Unreachable, rekey.WrongInstance),
		bearing: Unclear, remedy: "Look at what stands between, and at scheme and port of the URL.", next: curl,
	},
	{
		number: 5, id: "parameters", codes: []int{400, 422},
		means:   "GitLab did not accept the request's parameters.",
		causes:  causes(rekey.MalformedToken, rekey.VersionSkew),
		bearing: Unclear, remedy: "Act on the message in brackets; bring gitlab-runner to GitLab's version (`active` became `paused` in 15.0).", next: "`gitlab-runner --version` beside GitLab's `/help` page.",
	},

	// Not the API: path, redirect, sign-in page.
	{
		number: 6, id: "not-found", codes: []int{404},
		means:   "There is no GitLab API at this URL: a group or project path in it, a missing sub-path, or another host.",
		causes:  causes(rekey.WrongInstance, rekey.Unreachable),
		bearing: NotToken, remedy: "Write the base URL that a browser shows GitLab's start page at, without group, project or `.git` path.", next: curl,
	},
	{
		number: 6, id: "redirected", codes: []int{405, 200, 201, 202, 203, 204, 300, 301, 302, 303, 304, 307, 308},
		means:   "Something else than GitLab's API answered: a sign-in page, or a redirect (http to https) that turned the POST into a GET.",
		causes:  causes(rekey.WrongInstance, rekey.Unreachable),
		bearing: NotToken, remedy: "Write the URL as GitLab redirects to: https, right host, right sub-path.", next: curl,
	},
	{
		number: 6, id: "not-json", form: localForm, says: []string{"server should return application/json", "response is not application/json", "parsing Content-Type", "no media type", "invalid character '<' looking for beginning of value", "decoding response"},
		means:   "What answered is not GitLab's API: a page, not JSON.",
		causes:  causes(rekey.WrongInstance, rekey.Unreachable),
		bearing: NotToken, remedy: "Write the base URL of GitLab itself, past sign-in pages and gateways.", next: curl,
	},

	// Values that never left the host.
	{
		number: 10, own: true, id: "private-token-header", says: []string{`invalid header field … "Private-Token"`, `invalid header field for "Private-Token"`},
		means:   "The token holds a line break, so the request was never sent: typical of a Kubernetes Secret made with `echo` (gitlab-runner 16.10 to 17.10).",
		causes:  causes(rekey.MalformedToken),
		bearing: OnToken, remedy: "Write the Secret or file again with `printf %s`, or correct the section: `rekey fix`.", next: "`… | base64 -d | od -c` of the Secret: look for \\n and \\r.",
	},
	{
		number: 11, own: true, id: "runner-token-header", says: []string{`invalid header field … "Runner-Token"`, "invalid header field"},
		means:   "The token holds a line break, so the request was never sent: typical of a Kubernetes Secret made with `echo` (gitlab-runner 17.11 and later).",
		causes:  causes(rekey.MalformedToken),
		bearing: OnToken, remedy: "Write the Secret or file again with `printf %s`, or correct the section: `rekey fix`.", next: "`… | base64 -d | od -c` of the Secret: look for \\n and \\r.",
	},
	{
		number: 9, id: "bad-url", form: localForm, says: []string{"only http or https scheme supported", `^parse "`, `: parse "`, "unsupported protocol scheme", "missing protocol scheme", "first path segment in URL cannot contain colon", "in host name"},
		means:   "The URL cannot be used: no scheme, or quotes or blanks in it.",
		causes:  causes(rekey.WrongInstance),
		bearing: NotToken, remedy: "Write it with scheme and nothing around it: `https://gitlab.example.com/`.", next: "Look at the URL's value, byte for byte (`od -c`).",
	},

	// The rate limit, as the client itself says it.
	{
		number: 32, own: true, id: "gave-up", says: []string{"gave up due to rate limit"},
		means:   "GitLab answered 429 five times: too many requests came from here. The token was not judged.",
		causes:  causes(rekey.RateLimited),
		bearing: NotToken, remedy: "Wait; let fewer runners poll less often, or have the administrator raise the limit.", next: "Count the runners and scripts behind this address.",
	},

	// TLS.
	{
		number: 8, id: "plain-http", says: []string{"server gave HTTP response to HTTPS client", "first record does not look like a TLS handshake"},
		means:   "The URL says https, but plain HTTP is spoken there.",
		causes:  causes(rekey.WrongInstance, rekey.Unreachable),
		bearing: NotToken, remedy: "Write `http://`, or the port where GitLab speaks TLS.", next: curl,
	},
	{
		number: 7, id: "certificate-time", says: []string{"has expired or is not yet valid"},
		means:   "The server's certificate is out of date, or this host's clock is wrong. GitLab was not asked about the token.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Correct the clock, or renew the certificate.", next: "`date` here, and `openssl s_client -connect HOST:443 </dev/null | openssl x509 -noout -dates`.",
	},
	{
		number: 7, id: "certificate-name", says: []string{"certificate is valid for", "certificate is not valid for any names", "cannot validate certificate for", "doesn't contain any IP SANs", "relies on legacy Common Name"},
		means:   "The server's certificate is for another name than the URL's host. GitLab was not asked about the token.",
		causes:  causes(rekey.WrongInstance, rekey.Unreachable),
		bearing: NotToken, remedy: "Write the name that the certificate carries into the URL, or correct the certificate.", next: "`openssl s_client -connect HOST:443 </dev/null | openssl x509 -noout -ext subjectAltName`.",
	},
	{
		number: 7, id: "certificate-authority", says: []string{"certificate signed by unknown authority"},
		means:   "The server's certificate is signed by an authority that this host does not know: a private CA, or a proxy that looks into TLS. GitLab was not asked about the token.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Set `tls-ca-file` in the section (--tls-ca-file), put the CA's certificate into /etc/gitlab-runner/certs/HOST.crt, or `certsSecretName` in Helm.", next: "`openssl s_client -showcerts -connect HOST:443 </dev/null`.",
	},
	{
		number: 7, id: "tls", says: []string{"x509:", "tls: ", "remote error: tls"},
		means:   "The TLS connection failed. GitLab was not asked about the token.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Correct the certificate, the TLS versions, or the proxy between; a client certificate belongs into `tls-cert-file`.", next: "`openssl s_client -connect HOST:443 </dev/null`.",
	},

	// The network.
	{
		number: 8, id: "proxy", says: []string{"proxyconnect", "Proxy Authentication Required"},
		means:   "The proxy could not be used, or wants credentials. GitLab was not asked about the token.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Correct HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the service's environment.", next: "`systemctl show -p Environment,EnvironmentFiles gitlab-runner`.",
	},
	{
		number: 8, id: "name-resolution", says: []string{"no such host", "server misbehaving", "name resolution", "lookup … on "},
		means:   "The host's name cannot be resolved. GitLab was not asked about the token.",
		causes:  causes(rekey.WrongInstance, rekey.Unreachable),
		bearing: NotToken, remedy: "Correct the URL's host, or this host's DNS (in a container: its own).", next: "`getent hosts HOST` where the process runs.",
	},
	{
		number: 8, id: "refused-connection", says: []string{"connection refused", "no route to host", "network is unreachable", "actively refused it"},
		means:   "Nothing listens at the URL's host and port, or a firewall refuses. GitLab was not asked about the token.",
		causes:  causes(rekey.Unreachable, rekey.WrongInstance),
		bearing: NotToken, remedy: "Start GitLab, or correct host and port.", next: curl,
	},
	{
		number: 8, id: "timeout", says: []string{"i/o timeout", "deadline exceeded", "Client.Timeout", "TLS handshake timeout", "timeout awaiting response", "connection timed out"},
		means:   "No answer came in time. GitLab was not heard about the token.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Open the way to GitLab (firewall, proxy, route), or relieve it.", next: curl,
	},
	{
		number: 8, id: "cut-off", says: []string{"unexpected EOF", "EOF", "connection reset by peer", "broken pipe", "server closed", "stopped after"},
		means:   "The connection broke before an answer came. GitLab was not heard about the token.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Look at what stands between (load balancer, proxy), or wait if GitLab restarts.", next: curl,
	},

	// Answers that are not about the token.
	{
		id: "too-many", codes: []int{429},
		means:   "GitLab answered 429: too many requests came from here. The token was not judged.",
		causes:  causes(rekey.RateLimited),
		bearing: NotToken, remedy: "Wait; let fewer runners poll less often, or have the administrator raise the limit.", next: "Count the runners and scripts behind this address.",
	},
	{
		id: "unauthorized", codes: []int{401},
		means:   "GitLab never answers 401 to a runner's token: something before it, or the user token of --pat, was refused.",
		causes:  causes(rekey.Unreachable, rekey.WrongInstance),
		bearing: NotToken, remedy: "Look for a gateway with authentication of its own, or for a stale user token.", next: curl,
	},
	{
		id: "race", codes: []int{409},
		means:   "Another runner took the job first. That is normal.",
		bearing: Fine, remedy: "Nothing is needed.", next: "Nothing more is needed.",
	},
	{
		id: "server-error", codes: []int{500},
		means:   "GitLab failed inside. The token was not judged. After a restore, lost secrets (`db_key_base`) look so too.",
		causes:  causes(rekey.Unreachable, serverRestored),
		bearing: NotToken, remedy: "Have the administrator look at GitLab; change no token.", next: "GitLab's `exceptions_json.log` at that time.",
	},
	{
		id: "down", codes: []int{408, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526},
		means:   "GitLab, or what stands before it, is down or busy. The token was not judged.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Wait until it is back; change no token.", next: curl,
	},
	{
		number: 8, id: "network", form: localForm, says: []string{"couldn't execute", "execute request", `Post "`, `Get "`, `Put "`, "dial tcp"},
		means:   "The request did not get through. GitLab was not asked about the token.",
		causes:  causes(rekey.Unreachable),
		bearing: NotToken, remedy: "Make the URL reachable from this host (DNS, proxy, certificate, firewall).", next: curl,
	},
	{
		id:      "unexpected",
		means:   "The answer is none of those foreseen. It does not refuse the token.",
		causes:  causes(rekey.UnexpectedAnswer),
		bearing: Unclear, remedy: "Read what status= says.", next: "Repeat the request with curl, and look into GitLab's `api_json.log`.",
	},
}
