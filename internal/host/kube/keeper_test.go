package kube

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestKeeperByWhoManagesTheFields is of tools that leave no other mark.
func TestKeeperByWhoManagesTheFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ metadata, tool, note string }{
		"Terraform, applied":            {`"managedFields":[{"manager":"Terraform","operation":"Apply","time":"2026-01-02T03:04:05Z"}]`, "Terraform", ""},
		"Terraform, updated":            {`"managedFields":[{"manager":"HashiCorp","operation":"Update"}]`, "Terraform", ""},
		"Terraform's program":           {`"managedFields":[{"manager":"terraform-provider-kubernetes_v2.35.1_x5","operation":"Update"}]`, "Terraform", ""},
		"Pulumi":                        {`"managedFields":[{"manager":"kubectl-create","operation":"Update"},{"manager":"pulumi-kubernetes-0a1b2c3d","operation":"Apply"}]`, "Pulumi", ""},
		"applied by somebody":           {`"managedFields":[{"manager":"rekey","operation":"Update"},{"manager":"kubectl","operation":"Apply"}]`, "", "applied by kubectl"},
		"by rekey, and by hand":         {`"managedFields":[{"manager":"rekey","operation":"Apply"},{"manager":"kubectl-edit","operation":"Update"}]`, "", ""},
		"Helm's mark before the fields": {`"labels":{"heritage":"Helm"},"managedFields":[{"manager":"Terraform","operation":"Apply"}]`, "Helm", ""},
		"nobody":                        {`"managedFields":[]`, "", ""},
	} {
		var s secret
		if err := json.Unmarshal([]byte(`{"metadata":{"name":"main",`+c.metadata+`}}`), &s); err != nil {
			t.Fatal(err)
		}
		got := s.keeper()
		if got.Tool != c.tool || (got.Change != "") != (c.tool != "") || (got.Note != "") != (c.note != "") || !strings.Contains(got.Note, c.note) {
			t.Errorf("%s: got %+v, want tool %q, note %q", name, got, c.tool, c.note)
		}
	}
}
