package iac

import (
	"strings"

	"rekey/internal/lazyregexp"
)

// normal writes a name in small letters with underscores, whatever its language
// makes of it: runnerRegistrationToken, RUNNER-REGISTRATION-TOKEN.
func normal(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'A' && c <= 'Z':
			if i > 0 && (small(name[i-1]) || i+1 < len(name) && small(name[i+1]) && upper(name[i-1])) {
				b.WriteByte('_')
			}
			b.WriteByte(c + 'a' - 'A')
		case c == '-' || c == '.' || c == ' ' || c == '/' || c == ':':
			b.WriteByte('_')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func small(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

var (
	// seeds are what makes a GitLab server start with a registration token:
	// the Omnibus setting and the variable of its image.
	seeds = lazyregexp.New(`initial_(?:shared_)?runners?_registration_token|gitlab_shared_runners?_registration_token$|^shared_runners?_registration_token$|gitlab_initial_shared_runners`)
	// registrationNames hold a registration token, or say where one is.
	registrationNames = lazyregexp.New(`(?:(?:registration|register)_?|(?:^|_)reg_(?:runner_)?)tokens?(?:_(?:ssm|secure|secret|parameter|param|store|name|path|file|arn|key|id|ref|value|vault|gcp|aws|url|env|var|base64|b64|cmd|command|from|field|property|plain|default))*$|^registration_config_file$|^token_registration$`)
	// settings are about registration tokens and hold none.
	settings = lazyregexp.New(`(?:allow|reset|enable|disable|enabled|disabled|type|has|is|use|valid|rotate|require|requires|validity|expiration|expires|expiry|kms)_|_(?:type|enabled|disabled|length|kms_key|kms|expires_at|expiration|description|tags|required|help|valid|version)$`)
	// otherProducts have runners, and registration tokens, of their own.
	otherProducts = lazyregexp.New(`github|gitea|forgejo|act_runner|actrunner|azure_?devops|azp_|woodpecker|drone|buildkite|firebase|fcm|matrix|synapse|wvd|avd|host_?pool|device|push|zulip|teamcity|bamboo|octopus|consul|harness|circleci|actions|arc_`)
	// runnerTokens hold a runner's authentication token.
	runnerTokens = lazyregexp.New(`(?:^|_)(?:runners?|ci_server|gitlab_runner\w*|gitlab_ci)(?:_auth(?:entication)?)?_token$|^glrt$|runner_authentication_token$|runner_auth_token$|^glr_auth_token$`)
)

// isSeed reports a name by which a server is given a registration token to start
// with.
func isSeed(name string) bool { return seeds.MatchString(name) }

// isRegistration reports a name of the registration-token flow.
func isRegistration(name string) bool {
	return registrationNames.MatchString(name) && !settings.MatchString(name) && !otherProducts.MatchString(name)
}

// isRunnerToken reports the name of a runner's authentication token.
func isRunnerToken(name string) bool {
	return runnerTokens.MatchString(name) && !otherProducts.MatchString(name)
}

// serverArguments are the flags of `gitlab-runner register` that belong to the
// record in GitLab; the variables that say the same follow.
var serverArguments = map[string]bool{
	"tag-list": true, "run-untagged": true, "locked": true, "access-level": true,
	"maximum-timeout": true, "paused": true, "maintenance-note": true,
}

var serverVariables = map[string]bool{
	"RUNNER_TAG_LIST": true, "REGISTER_RUN_UNTAGGED": true, "REGISTER_LOCKED": true, "REGISTER_ACCESS_LEVEL": true,
	"REGISTER_MAXIMUM_TIMEOUT": true, "REGISTER_PAUSED": true, "REGISTER_MAINTENANCE_NOTE": true,
}
