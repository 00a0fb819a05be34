package iac

import (
	"slices"
	"testing"
)

// sow gives a fuzz target every fixture as a seed.
func sow(f *testing.F) {
	f.Helper()
	for _, c := range fixtures {
		f.Add([]byte(c.text))
	}
	f.Add([]byte("\xff\xfe\x00[[[[{{{{%%{{{${${${<<EOF\n<<-'A'\n\\\"`"))
}

// readable checks what holds of every reading: no panic, findings in the file, in
// order of their bytes, on lines that are there.
func readable(t *testing.T, path string, format Format, text []byte) {
	t.Helper()
	before := slices.Clone(text)
	for _, f := range examineAs(path, text, format, Target{}) {
		if f.Where.Start < 0 || f.Where.End > len(text) || f.Where.Start > f.Where.End || f.Line < 1 || f.Column < 1 {
			t.Errorf("%s at %d:%d, bytes %v of %d", f.Slug, f.Line, f.Column, f.Where, len(text))
		}
		if f.Value.Start < 0 || f.Value.End > len(text) || f.Value.Start > f.Value.End {
			t.Errorf("%s has its value at %v of %d", f.Slug, f.Value, len(text))
		}
	}
	if !slices.Equal(before, text) {
		t.Error("the text was changed while it was read")
	}
}

func fuzzFormat(f *testing.F, path string, format Format) {
	f.Helper()
	sow(f)
	f.Fuzz(func(t *testing.T, text []byte) { readable(t, path, format, text) })
}

func FuzzHCL(f *testing.F)        { fuzzFormat(f, "gitlab/a.tf", FormatHCL) }
func FuzzYAML(f *testing.F)       { fuzzFormat(f, "gitlab/a.yaml", FormatYAML) }
func FuzzJSON(f *testing.F)       { fuzzFormat(f, "gitlab/a.json", FormatJSON) }
func FuzzShell(f *testing.F)      { fuzzFormat(f, "gitlab/a.sh", FormatShell) }
func FuzzDockerfile(f *testing.F) { fuzzFormat(f, "gitlab/Dockerfile", FormatDockerfile) }
func FuzzTOML(f *testing.F)       { fuzzFormat(f, "gitlab/a.toml", FormatTOML) }
func FuzzDotenv(f *testing.F)     { fuzzFormat(f, "gitlab/.env", FormatDotenv) }
func FuzzPowerShell(f *testing.F) { fuzzFormat(f, "gitlab/a.ps1", FormatPowerShell) }
func FuzzPython(f *testing.F)     { fuzzFormat(f, "gitlab/a.py", FormatPython) }
func FuzzUnknown(f *testing.F)    { fuzzFormat(f, "gitlab/a", FormatUnknown) }

// FuzzTokens holds every sighting to its promise: whole, at its place, once.
func FuzzTokens(f *testing.F) {
	sow(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		end := 0
		for _, s := range sightings(text) {
			if s.start < 0 || s.end > len(text) || s.start >= s.end {
				t.Fatalf("a token at %d to %d of %d", s.start, s.end, len(text))
			}
			if !s.encoded && s.token.Reveal() != string(text[s.start:s.end]) {
				t.Errorf("the token is not what stands at its place")
			}
			end = max(end, s.end)
		}
	})
}

// FuzzSearch holds the fast search to the slow one.
func FuzzSearch(f *testing.F) {
	sow(f)
	search := newSearcher()
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := search.find(text), interesting(text); got != want {
			t.Errorf("found %v, want %v", got, want)
		}
	})
}

// FuzzIgnore: no .gitignore makes the reading of one panic.
func FuzzIgnore(f *testing.F) {
	f.Add([]byte("**/a/\n!b\n/c/**/d\n\\#x\n[a-\n"), "a/b/c")
	f.Fuzz(func(_ *testing.T, text []byte, name string) {
		list := &ignoreList{rules: parseIgnore(text)}
		list.ignored(name, true)
	})
}
