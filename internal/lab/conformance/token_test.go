package conformance_test

import (
	"encoding/base64"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	bare     = regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`)
	sound    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,512}$`)
	routable = regexp.MustCompile(`^glrt-([A-Za-z0-9_-]+)\.01\.([0-9a-z]{2})([0-9a-z]{7})$`)
)

// tokenCases are section 7: what tokens look like and where they are.
var tokenCases = []testCase{
	prove("7.1-instance-registration 7.1-characters", func(w *world) {
		w.true("url-safe", regexp.MustCompile(`^[A-Za-z0-9_-]{20,}$`).MatchString(w.instanceToken()))
		for _, token := range []string{w.instanceToken(), w.Runner("instance", 0, nil).Token, w.Register(nil).Token, w.running().Token, w.Admin} {
			w.true("characters of "+token[:5], sound.MatchString(token))
		}
	}),
	prove("7.1-registration", func(w *world) {
		for _, path := range []string{at("groups/%d", w.group(0)), at("projects/%d", w.project(0))} {
			rest, prefixed := strings.CutPrefix(w.registrationToken(path), "GR1348941")
			w.true(path, prefixed && bare.MatchString(rest))
		}
	}),
	prove("7.1-registered-bare", func(w *world) { w.true("20 characters", bare.MatchString(w.Register(nil).Token)) }),
	prove("7.1-registered-glrtr", func(w *world) { w.true("glrtr-", isPrefixed(w.Register(nil).Token, "glrtr-")) }),
	prove("7.1-created-bare", func(w *world) {
		rest, prefixed := strings.CutPrefix(w.Runner("instance", 0, nil).Token, "glrt-")
		w.true("20 characters", prefixed && bare.MatchString(rest))
	}),
	prove("7.1-created-glrt", func(w *world) {
		for _, r := range []issued{w.Runner("instance", 0, nil), w.Runner("group", w.group(0), nil), w.renewed(w.Runner("project", w.project(0), nil))} {
			w.true("glrt-", isPrefixed(r.Token, "glrt-"))
		}
	}),
	prove("7.1-created-routable 7.2-layout 7.2-crc 7.2-length 7.2-payload 7.2-lines-sorted 7.2-type 7.2-group 7.2-project 7.2-creator 7.2-organization", func(w *world) {
		group, project := w.group(0), w.project(0)
		spelled := func(n int64) string { return strconv.FormatInt(n, 36) }
		for token, want := range map[string][]string{
			w.Runner("instance", 0, nil).Token:      {"o:1", "t:1", "u:1"},
			w.Runner("group", group, nil).Token:     {"g:" + spelled(group), "o:1", "t:2", "u:1"},
			w.Runner("project", project, nil).Token: {"o:1", "p:" + spelled(project), "t:3", "u:1"},
		} {
			w.is("routing", w.routing(token), want)
		}
	}),
	prove("7.1-job-token 7.1-job-token-partition 8-job-token-prefix", func(w *world) {
		w.true("glcbt-", regexp.MustCompile(`^glcbt-[0-9a-f]+_[A-Za-z0-9_-]{20}$`).MatchString(w.running().Token))
	}).elsewhere(func(w *world) { w.true("no prefix", !isPrefixed(w.running().Token, "glcbt-")) }),
	prove("7.1-access-token", func(w *world) {
		_, token := w.person()
		w.true("glpat-", isPrefixed(token, "glpat-"))
	}),
	prove("7.2-wrong-crc", func(w *world) {
		token := w.Runner("instance", 0, nil).Token
		last := "0"
		if strings.HasSuffix(token, last) {
			last = "1"
		}
		w.want(w.verify(token[:len(token)-1]+last), 403, forbidden)
	}),
	prove("7.4-not-stored-clear", func(w *world) {
		secrets := []string{w.Runner("instance", 0, nil).Token, w.Register(nil).Token, w.running().Token, w.instanceToken(), w.registrationToken(at("projects/%d", w.project(0)))}
		files, err := filepath.Glob(filepath.Join(w.options.Dir, "*"))
		w.true("a directory with files", err == nil && len(files) > 1)
		for _, file := range files {
			raw, _ := os.ReadFile(file)
			for _, secret := range secrets {
				w.true("a token is in "+filepath.Base(file), !strings.Contains(string(raw), secret))
			}
		}
	}).byItself(),
	prove("7.4-unique", func(w *world) {
		seen := map[string]bool{}
		for range 20 {
			seen[w.Runner("instance", 0, nil).Token] = true
		}
		w.is("different tokens", len(seen), 20)
	}),
	prove("7.4-shown-once", func(w *world) {
		j := w.running()
		for _, path := range []string{"runners/all", at("runners/%d", j.runner.ID), at("runners/%d/jobs", j.runner.ID), at("projects/%d/runners", j.project), at("projects/%d/jobs/%d", j.project, j.ID)} {
			a := w.admin("GET", path, nil)
			w.want(a, 200, "")
			w.true(path+" holds no token", !strings.Contains(a.Body, j.runner.Token) && !strings.Contains(a.Body, j.Token))
		}
	}),
	prove("7.4-no-grace", func(w *world) {
		r := w.Runner("instance", 0, nil)
		first := r.Token
		for range 3 {
			r = w.renewed(r)
			w.want(w.verify(first), 403, forbidden)
			w.want(w.verify(r.Token), 200, "")
		}
	}),
}

// routing takes a routable token apart, as its layout has it.
func (w *world) routing(token string) []string {
	m := routable.FindStringSubmatch(token)
	if m == nil {
		w.Fatalf("a token is not routable: %.5s…", token)
	}
	crc := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(token[:len(token)-7]))), 36)
	w.is("CRC", strings.TrimLeft(m[3], "0"), strings.TrimLeft(crc, "0"))
	length, err := strconv.ParseInt(m[2], 36, 64)
	w.true("length", err == nil && int(length) == len(m[1]))
	payload, err := base64.RawURLEncoding.DecodeString(m[1])
	if err != nil || len(payload) < 17 {
		w.Fatalf("payload: %v", err)
	}
	text := string(payload[16 : len(payload)-1])
	w.is("length of the routing lines", int(payload[len(payload)-1]), len(text))
	lines := strings.Split(text, "\n")
	w.true("in order", slices.IsSorted(lines))
	return lines
}
