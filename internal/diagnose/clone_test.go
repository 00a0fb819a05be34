package diagnose_test

import (
	"strings"
	"testing"
	"time"

	"rekey"
	"rekey/internal/diagnose"
)

// TestClones: an id of the machine stands rightly beside two configs of one machine,
// and never on two machines.
func TestClones(t *testing.T) {
	t.Parallel()
	const machine, drawn = rekey.SystemID("s_abcdefabcdef"), rekey.SystemID("r_abcdefabcdef")
	other := rekey.NewToken("glrt-CANARYbbbbbbbbbbbbbb")
	for name, tc := range map[string]struct {
		id     rekey.SystemID
		hosts  [2]string
		second rekey.Token
		want   string
	}{
		"one machine, one token":       {machine, [2]string{"", ""}, good, "cloned-system-id info possible"},
		"two machines, one token":      {machine, [2]string{"ssh://a", "ssh://b"}, good, "cloned-system-id warning likely"},
		"this machine and another":     {machine, [2]string{"", "ssh://b"}, good, "cloned-system-id warning likely"},
		"two containers of a machine":  {machine, [2]string{"docker://a", "docker://b"}, good, "cloned-system-id info possible"},
		"a drawn id, one token":        {drawn, [2]string{"", ""}, good, "cloned-system-id warning likely"},
		"a drawn id, two tokens":       {drawn, [2]string{"", ""}, other, "cloned-system-id info possible"},
		"two machines, two tokens":     {machine, [2]string{"ssh://a", "ssh://b"}, other, ""},
		"two services of this machine": {machine, [2]string{"", ""}, other, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts()
			f.Configs = nil
			for i, host := range tc.hosts {
				s := section()
				s.Config, s.SystemID = host+"/srv/"+string(rune('a'+i))+"/config.toml", tc.id
				if i == 1 {
					s.Token = tc.second
				}
				f.Configs = append(f.Configs, diagnose.Config{Path: s.Config, Host: host, Sections: []diagnose.Section{s}})
			}
			for _, s := range diagnose.Judge(f).Sections {
				got := ""
				for _, line := range strings.Split(brief(s), "\n") {
					if strings.HasPrefix(line, string(rekey.ClonedSystemID)) {
						got = line
					}
				}
				if got != tc.want {
					t.Errorf("%s: got %q, want %q", s.Config, got, tc.want)
				}
			}
		})
	}
}

// TestHolders: an expiring token in the files of two hosts is shared, whoever looks.
func TestHolders(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ids    [2]rekey.SystemID
		expiry bool
		want   bool
	}{
		"two hosts":             {[2]rekey.SystemID{"s_aaaaaaaaaaaa", "s_bbbbbbbbbbbb"}, true, true},
		"two hosts, for ever":   {[2]rekey.SystemID{"s_aaaaaaaaaaaa", "s_bbbbbbbbbbbb"}, false, false},
		"one host":              {[2]rekey.SystemID{"s_aaaaaaaaaaaa", "s_aaaaaaaaaaaa"}, true, false},
		"nobody knows who else": {[2]rekey.SystemID{"s_aaaaaaaaaaaa", ""}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts()
			f.Configs = nil
			for i, id := range tc.ids {
				s := section()
				if tc.expiry {
					s = section(expiresBy(0, 24*time.Hour))
				}
				s.Config, s.SystemID = "/srv/"+string(rune('a'+i))+"/config.toml", id
				f.Configs = append(f.Configs, diagnose.Config{Path: s.Config, Sections: []diagnose.Section{s}})
			}
			got := strings.Contains(brief(diagnose.Judge(f).Sections[0]), "shared-token warning certain")
			if got != tc.want {
				t.Errorf("shared-token is told: %v, want %v: %s", got, tc.want, brief(diagnose.Judge(f).Sections[0]))
			}
		})
	}
}
