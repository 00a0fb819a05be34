package inventory

import (
	"fmt"

	"strings"
	"testing"

	"rekey"
)

// show is one host in one line.
func show(h Host) string {
	return fmt.Sprintf("%s:%d %s@%s:%d key=%s by=%s %q", h.Name, h.Line, h.User, h.Address, h.Port, h.Key, h.Connection, h.Problem)
}

const ini = `# comment
lone ansible_host=10.0.0.9  ; not a comment of hosts
; another

[runners]
web[01:03] ansible_user=ci   # comment
db-[a:c:2].example.com:2222
[2001:db8::1]:2200
box ansible_connection=local
"quoted name-free" ansible_port=70000

[gpu]
web02 ansible_port=2200
win1

[fleet:children]
runners
gpu

[gpu:vars]
ansible_user = root
ansible_connection=ssh
[fleet:vars]
ansible_ssh_private_key_file="/keys/fleet"
ansible_user=nobody
`

func TestINI(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(ini, `lone ansible_host=10.0.0.9  ; not a comment of hosts`, `lone ansible_host=10.0.0.9`)
	text = strings.ReplaceAll(text, `"quoted name-free" ansible_port=70000`, `quoted ansible_port="70000" ansible_host='10.0.0.7'`)
	text = strings.ReplaceAll(text, "win1\n", "win1 ansible_connection=winrm\ntpl ansible_host={{inner}} \n")
	inv, err := Parse("hosts", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`lone:2 @10.0.0.9:0 key= by=ssh ""`,
		`web01:6 ci@web01:0 key=/keys/fleet by=ssh ""`,
		`web02:6 ci@web02:2200 key=/keys/fleet by=ssh ""`, // named twice, told once; its own user wins
		`web03:6 ci@web03:0 key=/keys/fleet by=ssh ""`,
		`db-a.example.com:7 nobody@db-a.example.com:2222 key=/keys/fleet by=ssh ""`,
		`db-c.example.com:7 nobody@db-c.example.com:2222 key=/keys/fleet by=ssh ""`,
		`2001:db8::1:8 nobody@2001:db8::1:2200 key=/keys/fleet by=ssh ""`,
		`box:9 nobody@box:0 key=/keys/fleet by=local ""`,
		`quoted:10 nobody@10.0.0.7:0 key=/keys/fleet by= "its ansible_port is no port"`,
		`win1:14 root@win1:0 key=/keys/fleet by= "it is reached by the connection plugin \"winrm\", which is not known here"`,
		`tpl:15 root@{{inner}}:0 key=/keys/fleet by= "how it is reached is written as a template, which is not evaluated here"`,
	}
	compare(t, inv.Hosts, want)
}

func compare(t *testing.T, hosts []Host, want []string) {
	t.Helper()
	var got []string
	for _, h := range hosts {
		got = append(got, show(h))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const yamlText = `---
all:
  vars: &common
    ansible_user: ci
  hosts:
    lone:
  children:
    runners:
      hosts:
        web[01:02]:
          ansible_port: 2200
        web02: {ansible_host: 10.0.0.2, list: [1, 2], nested: {a: b}}
      vars:
        <<: *common
        ansible_ssh_common_args: -J jump
        ansible_password: CANARYsecret
    nested:
      children:
        runners: {}
      vars:
        ansible_user: above
`

func TestYAML(t *testing.T) {
	t.Parallel()
	inv, err := Parse("hosts.yml", []byte(yamlText))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, inv.Hosts, []string{
		`lone:6 ci@lone:0 key= by=ssh ""`,
		`web01:10 ci@web01:2200 key= by=ssh ""`,
		`web02:10 ci@10.0.0.2:2200 key= by=ssh ""`,
	})
	if len(inv.Notes) != 2 || strings.Contains(fmt.Sprintf("%+v", inv), "CANARY") {
		t.Errorf("got the notes %q, want two, and no password in %+v", inv.Notes, inv)
	}
}

// TestListedByAnsible reads what ` + "`ansible-inventory --list`" + ` prints.
func TestListedByAnsible(t *testing.T) {
	t.Parallel()
	inv, err := Parse("inventory.json", []byte(`{
    "_meta": {"hostvars": {"web01": {"ansible_host": "10.0.0.1", "ansible_port": 2200}, "web02": {}}},
    "all": {"children": ["ungrouped", "runners"]},
    "runners": {"hosts": ["web01", "web02"]}
}`))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, inv.Hosts, []string{`web01:2 @10.0.0.1:2200 key= by=ssh ""`, `web02:2 @web02:0 key= by=ssh ""`})
	if got := strings.Join(inv.Hosts[0].Groups, " "); got != "all runners" {
		t.Errorf("got the groups %q, want all and runners", got)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	inv, err := Parse("hosts", []byte("[a]\nx1\nx2\n[b]\nx2\ny1\n[both:children]\na\nb\n"))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"": "x1 x2 y1", "all": "x1 x2 y1", "a": "x1 x2", "both:!b": "x1", "a:&b": "x2", "x*": "x1 x2", "y1,x1": "x1 y1", "!a": "y1", "both": "x1 x2 y1",
	} {
		hosts, err := inv.Limit(pattern)
		var names []string
		for _, h := range hosts {
			names = append(names, h.Name)
		}
		if got := strings.Join(names, " "); got != want || err != nil {
			t.Errorf("--limit %q: got %q and %v, want %q", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{"nobody", "~web.*", "a[0]"} {
		if _, err := inv.Limit(pattern); rekey.KindOf(err) != rekey.KindInvalid || err == nil {
			t.Errorf("--limit %q: got %v, want it refused", pattern, err)
		}
	}
}

func TestErrorsNameTheLineAndQuoteNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, text, want string }{
		"unknown section":  {"hosts", "a\n[g:nonsense]\n", "hosts:2: a section is"},
		"undefined child":  {"hosts", "[g:children]\n\nnobody\n", "hosts:3: the group nobody is not defined"},
		"undefined vars":   {"hosts", "x\n[g:vars]\na=b\n", "hosts:2: the group g is not defined"},
		"circle":           {"hosts", "[a:children]\nb\n[b:children]\na\n", "are children of each other"},
		"no assignment":    {"hosts", "web CANARYsecret\n", "hosts:1: behind a host's name"},
		"open quote":       {"hosts", "web a='CANARYsecret\n", "hosts:1: a quotation mark"},
		"open range":       {"hosts", "[g]\nweb[01:20\n", "hosts:2: a [ without a ]"},
		"backward range":   {"hosts", "web[20:10]\n", "hosts:1: a range ends before"},
		"huge range":       {"hosts", "web[1:999999999]\n", "more than 100000 hosts"},
		"product of range": {"hosts", "web[1:1000][1:1000]\n", "more than 100000 hosts"},
		"odd padding":      {"hosts", "web[01:100]\n", "equally long"},
		"no port":          {"hosts", "web:x\n", "hosts:1: what follows"},
		"yaml":             {"hosts.yml", "all:\n  hosts:\n   - {CANARYsecret\n", "it is no YAML"},
		"yaml shape":       {"hosts.yml", "all:\n  hosts: CANARYsecret\n", "hosts.yml:2: hosts is a mapping"},
		"yaml key":         {"hosts.yml", "all:\n  host:\n    web:\n", "hosts.yml:2: a group has"},
		"plugin":           {"aws.yml", "plugin: amazon.aws.aws_ec2\n", "aws.yml:1: it configures an inventory plugin"},
		"laughs":           {"hosts.yml", laughs(), "too much"},
		"program":          {"hosts.py", "#!/usr/bin/env python3\n", "hosts.py:1: it is a program"},
		"vault":            {"hosts", "$ANSIBLE_VAULT;1.1;AES256\n", "encrypted"},
		"utf-16":           {"hosts", "\xff\xfea\x00", "UTF-16"},
		"binary":           {"hosts", "a\x00b", "no text"},
	} {
		_, err := Parse(tc.file, []byte(tc.text))
		if err == nil || rekey.KindOf(err) != rekey.KindInvalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		} else if strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: a value is quoted: %v", name, err)
		}
	}
}

// laughs is a mapping of which each level names the one below it ten times.
func laughs() string {
	var b strings.Builder
	b.WriteString("a0: &a0 {hosts: {h: }}\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d {children: {", i, i)
		for j := range 10 {
			fmt.Fprintf(&b, "c%d_%d: *a%d, ", i, j, i-1)
		}
		b.WriteString("}}\n")
	}
	return b.String()
}

// FuzzParse: no input may hang it, crash it, or make a host that an option of ssh
// could be taken for a part of.
func FuzzParse(f *testing.F) {
	f.Add("hosts", ini)
	f.Add("hosts.yml", yamlText)
	f.Add("hosts.json", `{"all": {"hosts": ["a[1:3]"]}}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		inv, err := Parse(name, []byte(text))
		if err != nil {
			if rekey.KindOf(err) != rekey.KindInvalid {
				t.Errorf("got %v, want kind invalid", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, h := range inv.Hosts {
			if seen[h.Name] || h.Name == "" || h.Line < 1 || h.Connection == "" && h.Problem == "" {
				t.Errorf("got %+v: twice, without a name, a line or a way", h)
			}
			seen[h.Name] = true
		}
	})
}
