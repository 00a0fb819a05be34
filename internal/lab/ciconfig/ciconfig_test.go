package ciconfig

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"A": "x", "EMPTY": "", "REF": "release/1.2"}
	for text, want := range map[string]bool{
		"":                                   true,
		"$A":                                 true,
		"$EMPTY":                             false,
		"$NONE":                              false,
		`$A == "x"`:                          true,
		`$A == 'y'`:                          false,
		`$A != "y"`:                          true,
		`$NONE == null`:                      true,
		`$EMPTY == null`:                     false,
		`$NONE != "x"`:                       true,
		`$REF =~ /^release\/\d+/`:            true,
		`$REF !~ /^RELEASE/i`:                false,
		`$A == "y" || $A == "x" && $REF`:     true,
		`($A == "y" || $A == "x") && $EMPTY`: false,
		`"x" == $A`:                          true,
		`${A} == "x"`:                        true,
	} {
		holds, err := parseCondition(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := holds(vars); got != want {
			t.Errorf("%s: got %t, want %t", text, got, want)
		}
	}
	for _, text := range []string{"$A ==", "(", "$A == x", "&& $A", `$A =~ "x"`, "$A $B"} {
		if _, err := parseCondition(text); err == nil {
			t.Errorf("%s: parsed, want an error", text)
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	config, err := Parse([]byte(`
default: {image: "alpine:$TAG", tags: [shared]}
variables: {TAG: "3", DESCRIBED: {value: d, description: text}}
.base:
  variables: {LOW: base, KEEP: kept}
  script: [echo base]
stages: [one, two]
first:
  extends: .base
  stage: one
  variables: {LOW: job}
  tags: ["$RUNNER", plain, "${NONE}"]
second:
  stage: two
  needs: [first]
  script: echo two
  timeout: 1h 30m
  rules:
    - if: $SKIP
      when: never
    - if: $MANUAL == "yes"
      when: manual
      allow_failure: true
    - when: on_success
      variables: {RULE: set}
`))
	if err != nil {
		t.Fatal(err)
	}
	show := func(given map[string]string) string {
		var out []string
		for _, j := range config.Plan(map[string]string{"CI": "true"}, given) {
			out = append(out, fmt.Sprintf("%s %s %s %v %v %s %t %d", j.Name, j.Stage, j.Image, j.Tags, j.Variables, j.When, j.AllowFailure, j.Timeout))
		}
		return strings.Join(out, "\n")
	}
	for _, c := range []struct {
		given map[string]string
		want  string
	}{
		{map[string]string{"RUNNER": "canary"}, "first one alpine:3 [canary plain] [{KEEP kept} {LOW job}] on_success false 0\nsecond two alpine:3 [shared] [{RULE set}] on_success false 5400"},
		{map[string]string{"MANUAL": "yes", "TAG": "4"}, "first one alpine:4 [plain] [{KEEP kept} {LOW job}] on_success false 0\nsecond two alpine:4 [shared] [] manual true 5400"},
		{map[string]string{"SKIP": "1"}, "first one alpine:3 [plain] [{KEEP kept} {LOW job}] on_success false 0"},
	} {
		if got := show(c.given); got != c.want {
			t.Errorf("%v: got\n%s\nwant\n%s", c.given, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "Invalid configuration format",
		"- a":                         "Invalid configuration format",
		"a: [":                        "Invalid configuration format",
		"stages: [a]":                 "at least one visible job",
		"j: {stage: test}":            "jobs:j script can't be blank",
		"j: {script: x, stage: nope}": "chosen stage nope does not exist",
		"j: {script: x, needs: [k]}":  "'j' job needs 'k' job",
		"j: {script: x, rules: [{if: \"$A =\"}]}": "invalid expression syntax",
		"j: {script: x, only: [main]}":            "does not know: only",
		"j: {script: x, when: soon}":              "when should be one of",
		"j: {extends: .x, script: x}":             "unknown keys in `extends`",
	} {
		_, err := Parse([]byte(text))
		var wrong *Error
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
