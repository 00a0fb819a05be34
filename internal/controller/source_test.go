package controller

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/remedy"
)

// fakeHost is a host of files in memory.
type fakeHost struct {
	files    map[string]string
	identity string
	runs     []diagnose.Process
}

func (h fakeHost) Read(path string) ([]byte, error) {
	if text, ok := h.files[path]; ok {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
}

func (h fakeHost) SystemID(string) (rekey.SystemID, string) { return "r_CANARY000001", "" }

func (h fakeHost) File(path string) diagnose.File {
	return diagnose.File{Path: path, Identity: h.identity}
}

func (h fakeHost) Processes(paths []string) ([]diagnose.Process, string) {
	for i := range h.runs {
		h.runs[i].Uses = append([]string(nil), paths...)
	}
	return h.runs, ""
}

func configWith(token string, more ...string) string {
	return fmt.Sprintf("[[runners]]\n  name = \"one\"\n  url = \"https://gitlab.example.com\"\n  token = %q\n%s\n", token, strings.Join(more, "\n"))
}

const etc = "/etc/gitlab-runner/config.toml"

// asked is an Observer that accepts every token and notes the questions.
func asked() (*Observer, func() map[string]remedy.Question) {
	var mu sync.Mutex
	questions := map[string]remedy.Question{}
	o := &Observer{
		Now:     time.Now,
		BaseURL: func(url string) (string, error) { return url, nil },
		Ask: func(_ context.Context, q remedy.Question) rekey.Answer {
			mu.Lock()
			defer mu.Unlock()
			questions[q.Config] = q
			return rekey.Answer{Kind: rekey.AnswerAccepted, At: time.Now()}
		},
	}
	return o, func() map[string]remedy.Question { return questions }
}

func TestSourcesAreNamedAndKeptApart(t *testing.T) {
	t.Parallel()
	o, _ := asked()
	text := map[string]string{etc: configWith("glrt-CANARYaaaaaaaaaaaaaa")}
	process := diagnose.Process{Name: "gitlab-runner run (pid 7)", Config: etc}
	facts := o.Observe(t.Context(), []Source{
		{Host: fakeHost{files: text}, Paths: []string{etc}},
		{Name: "ssh://runner1", Host: fakeHost{files: text, runs: []diagnose.Process{process}}, Paths: []string{etc}},
		{Name: "ssh://runner2", Err: rekey.Errorf(rekey.KindDenied, "it refuses every key").WithHint("ssh-add one")},
	}, diagnose.Expectation{})
	var got []string
	for _, c := range facts.Configs {
		got = append(got, c.Host+"|"+c.Path+"|"+c.Err)
	}
	want := []string{"|" + etc + "|", "ssh://runner1|ssh://runner1" + etc + "|", "ssh://runner2|ssh://runner2|ssh://runner2: it refuses every key (ssh-add one)"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got the configs\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(facts.Processes) != 1 || facts.Processes[0].Host != "ssh://runner1" || facts.Processes[0].Uses[0] != "ssh://runner1"+etc {
		t.Errorf("got the processes %+v, want one of ssh://runner1 that uses its config", facts.Processes)
	}
	report := diagnose.Judge(facts)
	if report.Configs[1].Host != "ssh://runner1" || report.Sections[1].Host != "ssh://runner1" || report.Sections[0].Host != "" {
		t.Errorf("got %+v and sections of %q and %q, want the hosts in the report", report.Configs, report.Sections[0].Host, report.Sections[1].Host)
	}
	for _, s := range report.Sections {
		for _, f := range s.Findings {
			if f.Cause == rekey.OtherConfigInForce {
				t.Errorf("%s: a process of another host was held against it: %+v", s.Config, f)
			}
		}
	}
}

func TestOneFileUnderTwoNamesIsToldOnce(t *testing.T) {
	t.Parallel()
	o, _ := asked()
	same := fakeHost{files: map[string]string{etc: configWith("glrt-CANARYaaaaaaaaaaaaaa")}, identity: "boot 8:1"}
	facts := o.Observe(t.Context(), []Source{
		{Name: "ssh://runner1", Host: same, Paths: []string{etc}},
		{Name: "ssh://runner1.example.com", Host: same, Paths: []string{etc}},
	}, diagnose.Expectation{})
	if len(facts.Configs) != 1 || len(facts.LogNotes) != 1 || !strings.Contains(facts.LogNotes[0], "the same file") {
		t.Errorf("got %d configs and the notes %q, want one config and a note", len(facts.Configs), facts.LogNotes)
	}
}

func TestAHostThatHangsCostsItsOwnTimeOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, questions := asked()
		o.Patience = 30 * time.Second
		var sources []Source
		var closed atomic.Int32
		for i := range 40 {
			name := fmt.Sprintf("ssh://runner%d", i)
			sources = append(sources, Source{Name: name, Open: func(ctx context.Context) ([]Source, error) {
				if i < 8 {
					<-ctx.Done()
					return nil, errors.New("killed")
				}
				return []Source{{Host: fakeHost{files: map[string]string{etc: configWith(fmt.Sprintf("glrt-CANARYaaaaaaaaaaaa%02d", i))}}, Paths: []string{etc}, Close: func() { closed.Add(1) }}}, nil
			}})
		}
		began := time.Now()
		facts := o.Observe(t.Context(), sources, diagnose.Expectation{})
		if took := time.Since(began); took > 31*time.Second {
			t.Errorf("it took %s, want the patience with one host", took)
		}
		failed := 0
		for i, c := range facts.Configs {
			if c.Host != fmt.Sprintf("ssh://runner%d", i) {
				t.Fatalf("config %d is of %s, want the order of the sources", i, c.Host)
			}
			if strings.Contains(c.Err, "not read within 30s") {
				failed++
			}
		}
		if failed != 8 || len(questions()) != 32 || closed.Load() != 32 {
			t.Errorf("got %d hosts that hang, %d questions and %d closed, want 8, 32 and 32", failed, len(questions()), closed.Load())
		}
	})
}

func TestAnInterruptLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	o, _ := asked()
	facts := o.Observe(ctx, []Source{
		{Name: "ssh://runner1", Open: func(ctx context.Context) ([]Source, error) {
			stop()
			<-ctx.Done()
			return nil, ctx.Err()
		}},
		{Host: fakeHost{files: map[string]string{etc: configWith("glrt-CANARYaaaaaaaaaaaaaa")}}, Paths: []string{etc}},
	}, diagnose.Expectation{})
	if len(facts.Configs) != 2 || !strings.Contains(facts.Configs[0].Err, "interrupted") || len(facts.Configs[1].Sections) != 1 {
		t.Errorf("got %+v, want the first interrupted and the second read", facts.Configs)
	}
}

// TestAnotherHostsFilesAreNotTakenFromHere: environment and TLS files are those of
// the host that the config lies on.
func TestAnotherHostsFilesAreNotTakenFromHere(t *testing.T) {
	t.Parallel()
	const named = "  tls-ca-file = \"/etc/hostname\""
	files := func(token string, more ...string) map[string]string {
		return map[string]string{etc: configWith(token, more...), "/etc/gitlab-runner/certs/gitlab.example.com.crt": "BESIDE", "/etc/hostname": "NAMED",
			"/c": "CERT", "/k": "CANARYprivatekey"}
	}
	o, questions := asked()
	source := func(name string, files map[string]string, read bool) Source {
		h := fakeHost{files: files}
		s := Source{Name: name, Host: h, Paths: []string{etc}}
		if read {
			s.ReadFile = h.Read
		}
		return s
	}
	facts := o.Observe(t.Context(), []Source{
		source("ssh://reference", files("${HOME}"), true),
		source("ssh://beside", files("glrt-CANARYaaaaaaaaaaaaa1"), true),
		source("ssh://named", files("glrt-CANARYaaaaaaaaaaaaa2", named, `  tls-cert-file = "/c"`, `  tls-key-file = "/k"`), true),
		source("ssh://gone", files("glrt-CANARYaaaaaaaaaaaaa3", `  tls-ca-file = "/nowhere"`), true),
		source("ssh://nokey", files("glrt-CANARYaaaaaaaaaaaaa4", `  tls-cert-file = "/c"`, `  tls-key-file = "/nowhere"`), true),
		source("ssh://blind", files("glrt-CANARYaaaaaaaaaaaaa5", named), false),
	}, diagnose.Expectation{})
	if s := facts.Configs[0].Sections[0]; len(s.Unset) != 1 || s.Expanded != nil {
		t.Errorf("a reference on another host: got %+v, want it unexpanded though HOME is set here", s)
	}
	q := questions()
	for name, want := range map[string]remedy.RemoteTLS{"beside": {CA: "BESIDE"}, "named": {CA: "NAMED", Cert: "CERT", Key: rekey.NewToken("CANARYprivatekey")}, "gone": {}} {
		got := q["ssh://"+name+etc].Remote
		if got == nil || *got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	if text := fmt.Sprintf("%+v %#v", *q["ssh://named"+etc].Remote, *q["ssh://named"+etc].Remote); strings.Contains(text, "CANARY") {
		t.Errorf("the private key can be printed: %s", text)
	}
	for _, c := range facts.Configs[4:] {
		a := c.Sections[0].Answer
		if _, sent := q[c.Path]; sent || a.Kind != rekey.AnswerUnreachable || !strings.Contains(a.Message, "TLS file ssh://") {
			t.Errorf("%s: got %+v, want it not asked, and which file is missing", c.Path, a)
		}
	}
}
