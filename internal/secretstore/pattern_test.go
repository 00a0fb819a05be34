package secretstore

import (
	"testing"

	"rekey"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		names   Names
		want    string
		single  bool
	}{
		{"vault://secret/runners/{host}/{name}#token", Names{"docker-1", "web-3"}, "vault://secret/runners/web-3/docker-1#token", false},
		{"vault://secret/runners/one", Names{"docker-1", "web-3"}, "vault://secret/runners/one#token", true},
		{"vault://secret/{host}", Names{"docker-1", "web-3"}, "vault://secret/web-3#token", true},
		{"awssm://eu-west-1/ci/{name}", Names{"docker-1", ""}, "awssm://eu-west-1/ci/docker-1", false},
		{"gitlab-var://group/RUNNER_{name}", Names{"docker_1", ""}, "gitlab-var://group/RUNNER_docker_1", false},
		{"gitlab-var://group/RUNNER_{name}", Names{"docker-1", ""}, "gitlab-var://group/RUNNER_docker_1_58d5ff8a", false},
		{"k8s://ci/{name}", Names{"Docker", ""}, "k8s://ci/docker-e6169e95#runner-token", false},
		{"file:///var/lib/tokens/{name}", Names{"a/b #1?%2e", ""}, "file:///var/lib/tokens/a-b--1--2e-f2397f30", false},
		{"file:///var/lib/tokens/{name}", Names{"..", ""}, "file:///var/lib/tokens/5ec1f7e7", false},
		{"file:///var/lib/tokens/{name}", Names{"ümläut", ""}, "file:///var/lib/tokens/ml-ut-c88c6b29", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		got, err := p.For(c.names)
		if err != nil || got.String() != c.want {
			t.Errorf("%s for %+v: got %s, %v, want %s", c.pattern, c.names, got, err, c.want)
		}
		if p.Single() != c.single || p.String() != c.pattern {
			t.Errorf("%s: single is %v, want %v; text %s", c.pattern, p.Single(), c.single, p)
		}
	}
}

// TestPatternKeepsNamesApart: names that become alike get different secrets.
func TestPatternKeepsNamesApart(t *testing.T) {
	t.Parallel()
	p, err := ParsePattern("k8s://ci/{name}")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Ref]string{}
	for _, name := range []string{"a b", "a-b", "a_b", "a/b", "A-B", "a b ", "-a-b", "€", "££", "..", "."} {
		ref, err := p.For(Names{Section: name})
		if before, twice := seen[ref]; err != nil || twice {
			t.Errorf("%q: %s, %v, as %q has", name, ref, err, before)
		}
		seen[ref] = name
	}
}

func TestPatternSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"vault://secret/{nmae}", "vault://secret/{}", "nothing://x/{name}", "vault://{name}", "env:{host} x", "gitlab-var://group/X?env={nope}"} {
		if _, err := ParsePattern(text); rekey.KindOf(err) != rekey.KindInvalid || rekey.HintOf(err) == "" {
			t.Errorf("%s: error %v, want one that says how it is written", text, err)
		}
	}
	p, err := ParsePattern("vault://secret/{host}/{name}")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []Names{{"", "h"}, {"s", ""}} {
		if ref, err := p.For(n); rekey.KindOf(err) != rekey.KindInvalid {
			t.Errorf("%+v: got %s, %v, want it refused", n, ref, err)
		}
	}
}
