package main_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/internal/host/kube/kubetest"
	"rekey/internal/lab/labtest"
)

const (
	mostIdle   = 0.005    // of one core
	mostMemory = 35 << 10 // kB
	mostBeside = 12 << 10 // kB above rekey version
)

// agentStores calls test with a host for the file store, for the lab's variables, for
// Secrets of a real API server, and for each real server of Vault's kind.
func agentStores(t *testing.T, test func(t *testing.T, h *agentHost)) {
	t.Helper()
	t.Run("file", func(t *testing.T) { test(t, newAgentHost(t, "")) })
	t.Run("gitlab-var", func(t *testing.T) {
		lab := labtest.Start(t, labtest.Options{Version: "17.11"})
		_, path := lab.Project("tokens", 0)
		test(t, newAgentHost(t, "gitlab-var://"+path+"/{name}", "GITLAB_HOST="+lab.URL, "GITLAB_TOKEN="+lab.Admin))
	})
	t.Run("k8s", func(t *testing.T) {
		server, namespace := kubetest.Real(t)
		kubeconfig := kubetest.File(t, server.User(t, namespace, kubetest.Right{Resource: "secrets", Verbs: []string{"get", "list", "watch", "create", "update"}}))
		test(t, newAgentHost(t, "k8s://"+namespace+"/{name}", "KUBECONFIG="+kubeconfig))
	})
	eachVault(t, func(t *testing.T, v *e2eVault) {
		v.must("POST", "sys/mounts/tokens", labtest.M{"type": "kv", "options": labtest.M{"version": "2"}}, nil)
		test(t, newAgentHost(t, "vault://tokens/runners/{name}", "VAULT_ADDR="+v.url, "VAULT_TOKEN="+v.root))
	})
}

// TestE2EAgentIdles measures an agent with a hundred sections that has nothing to do.
func TestE2EAgentIdles(t *testing.T) {
	span, err := time.ParseDuration(os.Getenv("REKEY_AGENT_IDLE"))
	if err != nil {
		t.Skip("*** THE AGENT IS NOT MEASURED: `make idle` does, or REKEY_AGENT_IDLE=10m ***")
	}
	agentStores(t, func(t *testing.T, h *agentHost) {
		t.Parallel() // each agent's own time and memory are measured
		var all []planted
		for i := range 100 {
			s := planted{name: fmt.Sprintf("runner%d", i), token: fmt.Sprintf("glrt-CANARYidle%010d", i), id: int64(i + 1)}
			all = append(all, s)
			h.secret("put", s.name, s.token)
		}
		h.sections("http://127.0.0.1:9", all...)
		h.start("--listen", "127.0.0.1:0")
		pid := h.cmd.Process.Pid
		h.until("all in step", func() bool {
			_, text := h.fetch("/metrics")
			return strings.Contains(text, `rekey_agent_sections{state="in_step"} 100`)
		})
		before, began := cpu(t, pid), time.Now()
		<-time.After(span) // what is measured is that nothing happens
		used, passed := cpu(t, pid)-before, time.Since(began)
		rss, version := kB(t, pid, "VmRSS"), versionRSS(t)
		fmt.Printf("agent, %s: 100 sections, %s of processor time in %s: %.3f %% of one core; VmRSS %.1f MB (anonymous %.1f), rekey version %.1f MB\n",
			t.Name(), used, passed.Round(time.Second), 100*used.Seconds()/passed.Seconds(), float64(rss)/1024, float64(kB(t, pid, "RssAnon"))/1024, float64(version)/1024)
		if used.Seconds() > mostIdle*passed.Seconds() {
			t.Errorf("it used %s in %s, want at most %.1f %% of one core", used, passed, 100*mostIdle)
		}
		if rss > mostMemory || rss > version+mostBeside {
			t.Errorf("VmRSS is %d kB, want at most %d, and at most %d more than the %d of rekey version", rss, mostMemory, mostBeside, version)
		}
	})
}

// TestE2EAgentFollows rotates in turn as rekey and as gitlab-runner do, while the agent is
// killed at random: each time config and store hold the one good token, of which none is
// lost. REKEY_AGENT_ROUNDS says how often; it is then also to take no longer than five
// seconds in a round without a kill: where both have changed the agent that is started
// next waits three before it writes over a token that GitLab refuses.
func TestE2EAgentFollows(t *testing.T) {
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("REKEY_AGENT_ROUNDS"), "12"))
	must(t, err)
	agentStores(t, func(t *testing.T, h *agentHost) {
		t.Parallel()
		lab := labtest.Start(t, labtest.Options{Version: "17.11"})
		one := labRunner(lab, "one")
		h.sections(lab.URL, one)
		flags := []string{"--interval", "2s"}
		h.start(flags...)
		h.until("agreed", func() bool { return strings.Contains(h.logged(), "because the store has no token yet") })
		token, slowest, killed := one.token, time.Duration(0), 0
		for round := range rounds {
			answer := lab.Call("POST", "runners/reset_authentication_token", "", labtest.M{"token": token})
			if answer.Status != http.StatusCreated {
				t.Fatalf("round %d: the token is lost: %d %s", round, answer.Status, answer.Body)
			}
			var next labtest.Issued
			answer.Decode(t, &next)
			began := time.Now()
			there := round%3 != 0
			if there {
				h.secret("put", "one", next.Token)
			} else { // gitlab-runner's own
				text, err := os.ReadFile(h.config)
				must(t, err)
				must(t, os.WriteFile(h.config, []byte(strings.ReplaceAll(string(text), token, next.Token)), 0o600))
			}
			token = next.Token
			kill := rand.IntN(3) == 0
			if kill {
				killed++
				<-time.After(time.Duration(rand.IntN(2500)) * time.Millisecond) // at random is what is promised
				h.kill(syscall.SIGKILL)
				h.start(flags...)
			}
			h.until("config and store hold the new token", func() bool {
				text, _ := os.ReadFile(h.config)
				return strings.Contains(string(text), token) && (there || h.secret("get", "one", "") == token)
			})
			slowest = max(slowest, time.Since(began))
			if took := time.Since(began); took > 5*time.Second && !kill && os.Getenv("REKEY_AGENT_ROUNDS") != "" {
				t.Errorf("round %d took %s, want at most 5 s", round, took)
			}
		}
		fmt.Printf("agent, %s: %d rotations, %d kills, the slowest after %s, 0 tokens lost\n", t.Name(), rounds, killed, slowest.Round(10*time.Millisecond))
		if strings.Contains(h.logged(), token[5:]) {
			t.Errorf("the log holds a token")
		}
	})
}
