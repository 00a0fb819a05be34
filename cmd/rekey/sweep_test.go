package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"rekey/internal/configtoml"
)

// TestNoSecretEscapes runs the demonstration and, on its lab, every command that
// handles a token, in good ways and bad; then it looks for each token that was
// ever there in everything that was said or left behind.
func TestNoSecretEscapes(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.commands()
	d.end()
	d.secretFiles()
	if len(d.secrets) < 30 {
		t.Errorf("only %d secrets are known, want 30 or more: the sweep would prove little", len(d.secrets))
	}
	d.collect()
	if len(d.corpus) < 40 || len(d.arguments()) < 10 {
		t.Errorf("only %d texts and %d command lines were collected", len(d.corpus), len(d.arguments()))
	}
	s := &sweeper{}
	for secret, name := range d.secrets {
		s.add(name, secret)
	}
	size := 0
	for name, data := range d.corpus {
		size += len(data)
		for _, found := range s.find(data) {
			t.Errorf("%s holds %s", name, found)
		}
		if shapes := tokenShapes.FindAllIndex(data, -1); len(shapes) > 0 {
			t.Errorf("%s holds %d texts in the shape of a token", name, len(shapes))
		}
	}
	t.Logf("%d secrets in %d forms: none in %d texts of %d bytes, nor in %d command lines", len(d.secrets), len(s.needles), len(d.corpus), size, len(d.arguments()))
}

// demoRun is a demonstration that stays up, and what was seen of it.
type demoRun struct {
	t        *testing.T
	dir      string // of the demonstration
	temp     string // TMPDIR of every child
	cmd      *exec.Cmd
	done     chan error
	url, pat string
	watching context.CancelFunc
	watched  sync.WaitGroup

	mu      sync.Mutex
	secrets map[string]string // secret → its name
	args    map[string]bool   // command lines seen
	corpus  map[string][]byte // name → what is swept
	files   []string          // made by the test to hold a token: not swept
}

const staysUp = "The lab and the runners stay up"

// startDemo returns once the demonstration has done all it does by itself.
func startDemo(t *testing.T) *demoRun {
	t.Helper()
	top := t.TempDir()
	d := &demoRun{t: t, dir: filepath.Join(top, "demo"), temp: filepath.Join(top, "tmp"), done: make(chan error, 1),
		secrets: map[string]string{}, args: map[string]bool{}, corpus: map[string][]byte{}}
	must(t, os.MkdirAll(d.temp, 0o700))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	d.cmd = exec.CommandContext(ctx, binary, "lab", "demo", "--dir", d.dir, "--keep", "--seed", "5")
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + d.temp}
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(os.Interrupt) }
	var conversation bytes.Buffer
	d.cmd.Stderr = &conversation
	out, err := d.cmd.StdoutPipe()
	must(t, err)
	must(t, d.cmd.Start())
	d.watch(ctx)
	var said bytes.Buffer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), staysUp) {
			break
		}
	}
	d.corpus["standard output of the demonstration"] = bytes.Clone(said.Bytes())
	if !strings.Contains(said.String(), staysUp) {
		t.Fatalf("the demonstration did not come to its end: %v\n%s%s", d.cmd.Wait(), &said, &conversation)
	}
	go func() {
		rest, _ := bufio.NewReader(out).WriteTo(&said)
		_ = rest
		d.done <- d.cmd.Wait()
	}()
	d.access()
	return d
}

// access reads what the lab tells its operator.
func (d *demoRun) access() {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, "lab", "lab.json"))
	must(d.t, err)
	var info struct {
		URL                string
		AdminToken         string            `json:"admin_token"`
		RegistrationTokens map[string]string `json:"registration_tokens"`
	}
	must(d.t, json.Unmarshal(data, &info))
	d.url, d.pat = info.URL, info.AdminToken
	d.secret("the administrator's token", d.pat)
	for scope, token := range info.RegistrationTokens {
		d.secret("the registration token of the "+scope, token)
	}
}

// secretFiles takes the keys of the state directory and the lab for secrets too:
// they may stand in their own files only.
func (d *demoRun) secretFiles() {
	d.t.Helper()
	key, err := os.ReadFile(filepath.Join(d.dir, "state", "key.txt"))
	must(d.t, err)
	d.secret("the sealing key", strings.TrimSpace(string(key)))
	var secrets map[string]string
	data, err := os.ReadFile(filepath.Join(d.dir, "lab", "secrets.json"))
	must(d.t, err)
	must(d.t, json.Unmarshal(data, &secrets))
	for name, value := range secrets {
		d.secret("the lab's "+name, value)
	}
}

func (d *demoRun) secret(name, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(value) >= pieceLength && d.secrets[value] == "" && !strings.HasPrefix(value, "${") {
		d.secrets[value] = name
	}
}

// end stops the demonstration as its user would.
func (d *demoRun) end() {
	d.t.Helper()
	d.keep("the lab's database, while it ran", filepath.Join(d.dir, "lab", "lab.sqlite"))
	d.keep("the lab's write-ahead log, while it ran", filepath.Join(d.dir, "lab", "lab.sqlite-wal"))
	must(d.t, d.cmd.Process.Signal(os.Interrupt))
	if err := <-d.done; err != nil {
		d.t.Errorf("the demonstration ended with %v", err)
	}
	d.watching()
	d.watched.Wait()
}

// keep adds a file to what is swept, as it is now.
func (d *demoRun) keep(name, path string) {
	d.t.Helper()
	data, err := os.ReadFile(path)
	must(d.t, err)
	d.corpus[name] = data
}

// mayHold are the files that are there to hold a secret.
var mayHold = map[string]string{
	"config.toml":  "gitlab-runner reads its tokens here",
	"lab.json":     "tells the operator of a lab its tokens",
	"secrets.json": "the lab's own key",
	"key.txt":      "the key that opens what is sealed",
}

// collect adds every file that was left, the database and the command lines.
func (d *demoRun) collect() {
	d.t.Helper()
	for _, top := range []string{d.dir, d.temp} {
		must(d.t, filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			d.corpus["the names of files"] = append(d.corpus["the names of files"], path+"\n"...)
			if err == nil && e.Type().IsRegular() && mayHold[e.Name()] == "" && !slices.Contains(d.files, path) {
				d.keep(path, path)
			}
			return err
		}))
	}
	dump(d.t, filepath.Join(d.dir, "lab", "lab.sqlite"), d.corpus)
	d.corpus["the command lines"] = []byte(strings.Join(d.arguments(), "\n"))
}

// sections takes note of every token in a config.
func (d *demoRun) sections(path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return // not written yet
	}
	doc, err := configtoml.Parse(data)
	if err != nil {
		return
	}
	for _, s := range doc.Sections() {
		d.secret("a token of "+s.Name, s.Token.Reveal())
		if cleaned, ok := s.Token.Cleaned(); ok {
			d.secret("a token of "+s.Name+", cleaned", cleaned.Reveal())
		}
	}
}
