package configtoml

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"rekey"
)

// NewSection is a section to append.
type NewSection struct {
	Name, URL  string
	ID         rekey.RunnerID
	Token      rekey.Token
	ObtainedAt time.Time
	ExpiresAt  time.Time // zero: does not expire
	TLSCAFile  string    // "" leaves the key out
	Executor   string
	Image      string // of the docker executor; "" leaves the key out
}

// Append returns the document with s added at its end as `gitlab-runner
// register` writes it, in the file's own line ending. A file without any key
// gets the global keys that register gives a new file. Kinds of error: invalid
// for a value that TOML cannot hold, or sections written as runners = [{…}],
// which cannot be added to; internal as for EditAll.
func (d *Document) Append(s NewSection) (*Document, error) {
	if d.layout.unknown {
		return nil, d.cannotEdit()
	}
	if d.layout.inline {
		return nil, rekey.Errorf(rekey.KindInvalid, "the sections are written as runners = […]; no [[runners]] can be added behind it").
			WithHint("write the sections as [[runners]] with one key on each line")
	}
	lines, err := s.lines(d.sectionKey())
	if err != nil {
		return nil, err
	}
	fresh := len(d.tree) == 0
	if fresh {
		lines = append([]string{"concurrent = 1", "check_interval = 0", "shutdown_timeout = 0", "",
			"[session_server]", "  session_timeout = 1800", ""}, lines...)
	}
	eol := d.lineEnding(0)
	text := d.gap(eol) + strings.Join(lines, eol) + eol
	end := len(d.data)
	return d.spliced([]splice{{span{end, end}, text}}, d.verifyAppend(s, fresh))
}

// sectionKey is runners as the file spells it: another spelling would make a
// second list of which gitlab-runner takes one.
func (d *Document) sectionKey() string {
	if d.layout.key == "" {
		return "runners"
	}
	return d.layout.key
}

// gap ends the last line, where it has no ending, and leaves one line empty.
func (d *Document) gap(eol string) string {
	content := d.data[len(byteOrderMark(d.data)):]
	switch {
	case len(content) == 0:
		return ""
	case content[len(content)-1] != '\n':
		return eol + eol
	}
	lines := bytes.Split(content, []byte("\n"))
	if len(lines) > 1 && len(bytes.TrimSpace(lines[len(lines)-2])) == 0 {
		return ""
	}
	return eol
}

func (s NewSection) lines(key string) ([]string, error) {
	b := sectionText{}
	b.add("[[%s]]", key)
	b.quoted("  name", s.Name)
	b.quoted("  url", s.URL)
	b.add("  id = %d", s.ID)
	b.quoted("  token", s.Token.Reveal())
	b.add("  token_obtained_at = %s", s.ObtainedAt.UTC().Format(time.RFC3339Nano))
	b.add("  token_expires_at = %s", s.ExpiresAt.UTC().Format(time.RFC3339Nano))
	if s.TLSCAFile != "" {
		b.quoted("  tls-ca-file", s.TLSCAFile)
	}
	b.quoted("  executor", s.Executor)
	b.add("  [%s.cache]", key)
	b.add("    MaxUploadedArchiveSize = 0")
	for _, kind := range []string{"s3", "gcs", "azure"} {
		b.add("    [%s.cache.%s]", key, kind)
	}
	if strings.HasPrefix(s.Executor, "docker") {
		b.docker(key, s.Image)
	}
	return b.lines, b.err
}

// sectionText collects lines and the first value that cannot be written.
type sectionText struct {
	lines []string
	err   error
}

func (b *sectionText) add(format string, args ...any) {
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

func (b *sectionText) quoted(key, text string) {
	value, err := quote(text, "")
	if err != nil && b.err == nil {
		b.err = err
	}
	b.lines = append(b.lines, key+" = "+value)
}

func (b *sectionText) docker(key, image string) {
	b.add("  [%s.docker]", key)
	b.add("    tls_verify = false")
	if image != "" {
		b.quoted("    image", image)
	}
	for _, line := range []string{"privileged = false", "disable_entrypoint_overwrite = false", "oom_kill_disable = false",
		"disable_cache = false", `volumes = ["/cache"]`, "shm_size = 0", "network_mtu = 0"} {
		b.add("    %s", line)
	}
}

func (d *Document) verifyAppend(s NewSection, fresh bool) func(*Document) string {
	return func(next *Document) string {
		ignored := []string{"runners"}
		if fresh {
			ignored = append(ignored, "concurrent", "check_interval", "shutdown_timeout", "session_server")
		}
		before, after := runnersOf(d.tree), runnersOf(next.tree)
		if !sameBut(d.tree, next.tree, ignored...) || len(after) != len(before)+1 {
			return "more than one section"
		}
		for i := range before {
			if !same(before[i], after[i]) {
				return "another section"
			}
		}
		added := next.sections[len(before)]
		want := Change{&s.Name, &s.URL, &s.ID, &s.Token, &s.ObtainedAt, &s.ExpiresAt}
		if !want.holds(added) || added.Executor != s.Executor || added.TLSCAFile != s.TLSCAFile {
			return "the new section to something else than asked"
		}
		return ""
	}
}
