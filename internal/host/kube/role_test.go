package kube_test

import (
	"os"
	"reflect"
	"regexp"
	"testing"

	"rekey/internal/host/kube/kubetest"
)

// TestTheGuidesRole holds the Role of the guide to the rights that every test here
// has: no more, and enough.
func TestTheGuidesRole(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../docs/guides/hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []kubetest.Right
	rule := regexp.MustCompile(`(?m)^ +- \{apiGroups: \["(.*)"\], resources: \["(.*)"\], verbs: \["(.*)"\]\}$`)
	for _, m := range rule.FindAllStringSubmatch(string(guide), -1) {
		got = append(got, kubetest.Right{Group: m[1], Resource: m[2], Verbs: []string{m[3]}})
	}
	if !reflect.DeepEqual(got, kubetest.Enough) {
		t.Errorf("the guide's Role gives %+v, the tests need %+v", got, kubetest.Enough)
	}
}
