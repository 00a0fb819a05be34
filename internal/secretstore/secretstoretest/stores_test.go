package secretstoretest_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"rekey"
	"rekey/internal/gitlab"
	"rekey/internal/host/kube/kubetest"
	"rekey/internal/lab/labtest"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/awssm"
	"rekey/internal/secretstore/env"
	"rekey/internal/secretstore/file"
	"rekey/internal/secretstore/gitlabvar"
	"rekey/internal/secretstore/kube"
	"rekey/internal/secretstore/secretstoretest"
	"rekey/internal/secretstore/vault"
)

var update = flag.Bool("update", false, "write docs/stores.md from this run")

func TestMain(m *testing.M) {
	code := m.Run()
	kubetest.Stop()
	os.Exit(code)
}

// table collects the rows; a store whose product is not on this machine keeps the
// line that the page has.
type table struct {
	mu    sync.Mutex
	lines map[string]string
}

func (tb *table) run(t *testing.T, store, against string, part func(t *testing.T) secretstoretest.Part) {
	t.Run(store, func(t *testing.T) {
		t.Parallel()
		row := secretstoretest.Run(t, part(t))
		if t.Failed() {
			return
		}
		tb.mu.Lock()
		defer tb.mu.Unlock()
		tb.lines[store] = row.Line(store, against)
	})
}

var order = []string{"`vault://` KV version 2", "`vault://` KV version 1", "`awssm://` with `#jsonkey`", "`awssm://` whole", "`gitlab-var://` of a project", "`gitlab-var://` of a group", "`k8s://`", "`file://`", "`env:`"}

// TestStores runs the suite on every store and compares what was seen with the page.
func TestStores(t *testing.T) {
	t.Parallel()
	tb := &table{lines: map[string]string{}}
	t.Run("suite", func(t *testing.T) {
		tb.run(t, order[7], "the file system", filePart)
		tb.run(t, order[8], "a process's environment", envPart)
		labs := labtest.Start(t, labtest.Options{Version: "18.11"})
		tb.run(t, order[4], "the lab, as GitLab 18.11", func(t *testing.T) secretstoretest.Part { return gitlabPart(t, labs.For(t), false) })
		tb.run(t, order[5], "the lab, as GitLab 18.11", func(t *testing.T) secretstoretest.Part { return gitlabPart(t, labs.For(t), true) })
		t.Run("vault", func(t *testing.T) {
			server := secretstoretest.Vault(t)
			tb.run(t, order[0], "Vault 1.21.0", func(t *testing.T) secretstoretest.Part { return vaultPart(t, server, "secret") })
			tb.run(t, order[1], "Vault 1.21.0", func(t *testing.T) secretstoretest.Part { return vaultPart(t, server, "kv1") })
		})
		t.Run("openbao", func(t *testing.T) { // the page's lines are Vault's
			server := secretstoretest.OpenBao(t)
			for _, mount := range []string{"secret", "kv1"} {
				t.Run(mount, func(t *testing.T) { t.Parallel(); secretstoretest.Run(t, vaultPart(t, server, mount)) })
			}
		})
		t.Run("aws", func(t *testing.T) {
			url := secretstoretest.Moto(t)
			tb.run(t, order[2], "moto's Secrets Manager", func(t *testing.T) secretstoretest.Part { return awsPart(t, url, "json", "token") })
			tb.run(t, order[3], "moto's Secrets Manager", func(t *testing.T) secretstoretest.Part { return awsPart(t, url, "whole", "") })
		})
		t.Run("kube", func(t *testing.T) { kubeRow(t, tb) })
	})
	tb.compare(t)
}

func (tb *table) compare(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "stores.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(page), "<!-- from the run: begin -->\n")
	old, tail, ok := strings.Cut(rest, "<!-- from the run: end -->")
	if !ok {
		t.Fatalf("%s has no place for the table", path)
	}
	fresh := secretstoretest.Head
	for _, store := range order {
		line := tb.lines[store]
		if line == "" {
			fmt.Printf("%s: not tried here, its line in docs/stores.md is of an earlier run\n", store)
			line = lineOf(old, store)
		}
		fresh += line + "\n"
	}
	switch {
	case fresh == old:
	case *update && !t.Failed():
		if err := os.WriteFile(path, []byte(head+"<!-- from the run: begin -->\n"+fresh+"<!-- from the run: end -->"+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("docs/stores.md differs from the run (go test ./internal/secretstore/secretstoretest -update)\ngot:\n%s\npage:\n%s", fresh, old)
	}
}

func lineOf(page, store string) string {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "| "+store+" |") {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

func ref(t *testing.T, format string, args ...any) secretstore.Ref {
	t.Helper()
	r, err := secretstore.Parse(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func place(t *testing.T, format string, args ...any) secretstore.Ref {
	t.Helper()
	r, err := secretstore.ParsePlace(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func filePart(t *testing.T) secretstoretest.Part {
	dir := t.TempDir()
	return secretstoretest.Part{
		Store: file.New(file.Options{KeyFile: filepath.Join(dir, "key", "key.txt"), Now: time.Now}),
		Ref:   func(name string) secretstore.Ref { return ref(t, "file://%s/%s", dir, name) },
		Place: place(t, "file://%s", dir),
	}
}

func envPart(t *testing.T) secretstoretest.Part {
	variables := map[string]string{}
	return secretstoretest.Part{
		Store: env.New(func(name string) (string, bool) { v, ok := variables[name]; return v, ok }),
		Ref:   func(name string) secretstore.Ref { return ref(t, "env:%s", strings.ToUpper(name)) },
		Seed:  func(_ *testing.T, r secretstore.Ref, value string) { variables[r.Name] = value },
	}
}

func vaultStore(t *testing.T, url, token string) secretstore.Store {
	t.Helper()
	s, err := vault.New(vault.Options{Address: url, Now: time.Now, Auth: vault.Auth{Method: vault.ByToken, Token: rekey.NewToken(token)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func vaultPart(t *testing.T, server *secretstoretest.VaultServer, mount string) secretstoretest.Part {
	return secretstoretest.Part{
		Store:  vaultStore(t, server.URL, server.Root),
		Ref:    func(name string) secretstore.Ref { return ref(t, "vault://%s/ci/%s#token", mount, name) },
		Beside: func(r secretstore.Ref) secretstore.Ref { return r.With(r.Name, "other") },
		Place:  place(t, "vault://%s/ci/", mount),
		Lossy: func(t *testing.T) secretstore.Store {
			line := secretstoretest.NewLine(t, server.URL, nil)
			line.LoseNext(secretstoretest.Write)
			return vaultStore(t, line.URL, server.Root)
		},
	}
}

func awsStore(url string) secretstore.Store {
	return awssm.New(awssm.Options{Configure: []func(*config.LoadOptions) error{
		config.WithBaseEndpoint(url), config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil),
		config.WithCredentialsProvider(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "CANARYsecretkey"}, nil
		})),
	}})
}

func awsPart(t *testing.T, url, folder, key string) secretstoretest.Part {
	if key != "" {
		key = "#" + key
	}
	p := secretstoretest.Part{
		Store: awsStore(url),
		Ref: func(name string) secretstore.Ref {
			return ref(t, "awssm://eu-central-1/%s/%s%s", folder, name, key)
		},
		Place: place(t, "awssm://eu-central-1/%s/", folder),
		Lossy: func(t *testing.T) secretstore.Store {
			line := secretstoretest.NewLine(t, url, nil)
			line.LoseNext(func(r *http.Request) bool {
				return strings.HasSuffix(r.Header.Get("X-Amz-Target"), "UpdateSecretVersionStage")
			})
			return awsStore(line.URL)
		},
	}
	if key != "" {
		p.Beside = func(r secretstore.Ref) secretstore.Ref { return r.With(r.Name, "other") }
	}
	return p
}

// gitlabAPI is the port of gitlabvar on the real client, as package app has it.
type gitlabAPI struct{ *gitlab.Client }

func owner(o gitlabvar.Owner) gitlab.VariableOwner { return gitlab.VariableOwner(o) }

func (a gitlabAPI) Variable(ctx context.Context, o gitlabvar.Owner, key, scope string) (gitlabvar.Variable, error) {
	v, err := a.Client.Variable(ctx, owner(o), key, scope)
	return gitlabvar.Variable(v), err
}

func (a gitlabAPI) Variables(ctx context.Context, o gitlabvar.Owner) ([]gitlabvar.Variable, error) {
	found, err := a.Client.Variables(ctx, owner(o))
	var all []gitlabvar.Variable
	for _, v := range found {
		all = append(all, gitlabvar.Variable(v))
	}
	return all, err
}

func (a gitlabAPI) CreateVariable(ctx context.Context, o gitlabvar.Owner, v gitlabvar.Variable) error {
	return a.Client.CreateVariable(ctx, owner(o), gitlab.Variable(v))
}

func (a gitlabAPI) UpdateVariable(ctx context.Context, o gitlabvar.Owner, v gitlabvar.Variable) error {
	return a.Client.UpdateVariable(ctx, owner(o), gitlab.Variable(v))
}

func (a gitlabAPI) DeleteVariable(ctx context.Context, o gitlabvar.Owner, key, scope string) error {
	return a.Client.DeleteVariable(ctx, owner(o), key, scope)
}

func (a gitlabAPI) Lost(err error) bool { return gitlab.OutcomeUnknown(err) }

func gitlabStore(t *testing.T, url, token string) secretstore.Store {
	t.Helper()
	c, err := gitlab.NewClient(gitlab.Options{URL: url, Token: rekey.NewToken(token), Now: time.Now, UserAgent: "rekey/test"})
	if err != nil {
		t.Fatal(err)
	}
	return gitlabvar.New(gitlabAPI{c})
}

func gitlabPart(t *testing.T, l *labtest.Lab, group bool) secretstoretest.Part {
	of := "group-of-tokens"
	if group {
		l.Group(of, 0)
	} else {
		_, of = l.Project("tokens", 0)
	}
	return secretstoretest.Part{
		Store: gitlabStore(t, l.URL, l.Admin),
		Ref: func(name string) secretstore.Ref {
			return ref(t, "gitlab-var://%s/%s?env=production", of, strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		},
		Place: place(t, "gitlab-var://%s", of),
		Lossy: func(t *testing.T) secretstore.Store {
			line := secretstoretest.NewLine(t, l.URL, nil)
			line.LoseNext(secretstoretest.Write)
			return gitlabStore(t, line.URL, l.Admin)
		},
	}
}

// kubeRow runs the suite on the real API server alone: the other one of kubetest
// answers reads only.
func kubeRow(t *testing.T, tb *table) {
	onRealCluster(t, func(t *testing.T, server kubetest.Server, namespace string) {
		tb.run(t, order[6], "kube-apiserver on etcd", func(t *testing.T) secretstoretest.Part { return kubePart(t, server, namespace) })
	})
}

func kubePart(t *testing.T, server kubetest.Server, namespace string) secretstoretest.Part {
	config := server.User(t, namespace, kubetest.Right{Resource: "secrets", Verbs: secretRights})
	return secretstoretest.Part{
		Store:  kubeStore(t, config),
		Ref:    func(name string) secretstore.Ref { return ref(t, "k8s://%s/%s", namespace, name) },
		Beside: func(r secretstore.Ref) secretstore.Ref { return r.With(r.Name, "other") },
		Place:  place(t, "k8s://%s", namespace),
		Lossy:  func(t *testing.T) secretstore.Store { return lossyKube(t, config) },
	}
}

func kubeStore(t *testing.T, kubeconfig string) secretstore.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return kube.New(kube.Options{Patience: time.Minute, Getenv: func(name string) string { return map[string]string{"KUBECONFIG": path}[name] }})
}
