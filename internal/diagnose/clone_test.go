package diagnose_test

import (
	"strings"
	"testing"

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
