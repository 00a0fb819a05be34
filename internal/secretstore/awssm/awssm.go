// Package awssm keeps tokens in AWS Secrets Manager. A write goes the way of AWS's own
// rotation: the new version is labelled AWSPENDING first, and AWSCURRENT moves to it
// only from the version that it was expected on, which leaves AWSPREVIOUS there. The
// package owns those steps and the words for what IAM refuses. It refuses to override
// a rotation that somebody else has begun, and to delete without AWS's days of grace.
package awssm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go/logging"

	"rekey"
	"rekey/internal/secretstore"
)

// The stages of AWS's rotation.
const (
	current = "AWSCURRENT"
	pending = "AWSPENDING"
)

// Options of a store. Credentials, profile and endpoint come from where the AWS
// command line has them.
type Options struct {
	Region   string // where a reference names none; "" for the environment's
	Patience time.Duration
	// Configure changes how the SDK is set up; tests point it at their server.
	Configure []func(*config.LoadOptions) error
}

// Store is one AWS account, in any of its regions.
type Store struct {
	opts Options

	mu      sync.Mutex
	clients map[string]*secretsmanager.Client // by region
}

// New returns the store; nothing is sent yet.
func New(o Options) *Store {
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	return &Store{opts: o, clients: map[string]*secretsmanager.Client{}}
}

func (s *Store) client(ctx context.Context, ref secretstore.Ref) (*secretsmanager.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[ref.Place]; c != nil {
		return c, nil
	}
	region := ref.Place
	if region == "" {
		region = s.opts.Region
	}
	options := append([]func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}, s.opts.Configure...) // its log is not ours to print
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the AWS configuration cannot be used: %s", said(err)).WithHint("see `aws configure list`")
	}
	if loaded.Region == "" {
		return nil, rekey.Errorf(rekey.KindInvalid, "%s: which AWS region is meant is not known", ref).WithHint("name it: awssm://eu-central-1/NAME, or set AWS_REGION")
	}
	c := secretsmanager.NewFromConfig(loaded)
	s.clients[ref.Place] = c
	return c, nil
}

// Features depends on whether a JSON key is named: only beside one is there room for
// metadata.
func (s *Store) Features(_ context.Context, ref secretstore.Ref) (secretstore.Features, error) {
	return secretstore.Features{Write: true, Swap: secretstore.SwapAtomic, Versions: true, List: true, Delete: true, Metadata: ref.Key != ""}, nil
}

// document is one version of a secret.
type document struct {
	id        string
	text      string
	fields    map[string]any // nil where the reference names no key
	createdAt time.Time
}

// Get reads a version by its id, or the one that is AWSCURRENT.
func (s *Store) Get(ctx context.Context, ref secretstore.Ref, version secretstore.Version) (secretstore.Secret, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.Name, VersionStage: aws.String(current)}
	if version != "" {
		in.VersionStage, in.VersionId = nil, aws.String(string(version))
	}
	doc, err := s.read(ctx, ref, in)
	if err != nil {
		return secretstore.Secret{}, err
	}
	return doc.secret(ref)
}

func (s *Store) read(ctx context.Context, ref secretstore.Ref, in *secretsmanager.GetSecretValueInput) (document, error) {
	c, err := s.client(ctx, ref)
	if err != nil {
		return document{}, err
	}
	ctx, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	out, err := c.GetSecretValue(ctx, in)
	if err != nil {
		return document{}, fail(ref, "read", "GetSecretValue", err)
	}
	doc := document{id: aws.ToString(out.VersionId), text: aws.ToString(out.SecretString), createdAt: aws.ToTime(out.CreatedDate)}
	if out.SecretString == nil {
		return doc, rekey.Errorf(rekey.KindInvalid, "%s: the secret is binary, not text", ref).WithHint("a token is kept as SecretString; write another secret with `rekey secret put`")
	}
	if ref.Key == "" {
		return doc, nil
	}
	decoder := json.NewDecoder(strings.NewReader(doc.text))
	decoder.UseNumber()
	if decoder.Decode(&doc.fields) != nil || doc.fields == nil || decoder.More() {
		return doc, rekey.Errorf(rekey.KindInvalid, "%s: the secret is not a JSON object", ref).WithHint("leave #%s away if the whole secret is the token", ref.Key)
	}
	return doc, nil
}

func (d document) secret(ref secretstore.Ref) (secretstore.Secret, error) {
	secret := secretstore.Secret{Version: secretstore.Version(d.id), CreatedAt: d.createdAt, Value: rekey.NewToken(d.text)}
	if ref.Key == "" {
		return secret, nil
	}
	raw, there := d.fields[ref.Key]
	if !there {
		return secretstore.Secret{}, rekey.Errorf(rekey.KindNotFound, "%s: the secret has no key %q", ref, ref.Key).WithHint("its keys are %s: name one after the #", names(d.fields))
	}
	text, ok := raw.(string)
	if !ok {
		return secretstore.Secret{}, rekey.Errorf(rekey.KindInvalid, "%s: the key %q is not a text", ref, ref.Key).WithHint("a token is a JSON string; write it anew with `rekey secret put %s`", ref)
	}
	beside, _ := d.fields[secretstore.Beside(ref.Key)].(string)
	secret.Value, secret.Meta = rekey.NewToken(text), secretstore.ParseMetadata(beside)
	return secret, nil
}

func names(fields map[string]any) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !strings.HasSuffix(name, secretstore.Beside("")) {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// with is the text of the next version.
func (d document) with(ref secretstore.Ref, value rekey.Token, meta secretstore.Metadata) (string, error) {
	if ref.Key == "" {
		return value.Reveal(), nil
	}
	fields := maps.Clone(d.fields)
	if fields == nil {
		fields = map[string]any{}
	}
	old, _ := fields[secretstore.Beside(ref.Key)].(string)
	fields[ref.Key] = value.Reveal()
	if text := meta.Over(secretstore.ParseMetadata(old)).Text(); text != "" {
		fields[secretstore.Beside(ref.Key)] = text
	}
	return encode(fields)
}

func encode(fields map[string]any) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(fields) != nil {
		return "", rekey.Errorf(rekey.KindInternal, "the secret cannot be encoded")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// ownVersion begins the ids of the versions that rekey makes: one that was left
// AWSPENDING by a rekey that was killed may be replaced by the next.
const ownVersion = "rekey-"

func newVersion() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // it never fails: crypto/rand
	return ownVersion + hex.EncodeToString(random)
}

// Versions lists those that AWS still keeps, with their stages.
func (s *Store) Versions(ctx context.Context, ref secretstore.Ref) ([]secretstore.VersionInfo, error) {
	c, err := s.client(ctx, ref)
	if err != nil {
		return nil, err
	}
	var list []secretstore.VersionInfo
	pages := secretsmanager.NewListSecretVersionIdsPaginator(c, &secretsmanager.ListSecretVersionIdsInput{SecretId: &ref.Name, IncludeDeprecated: aws.Bool(true)})
	for pages.HasMorePages() {
		bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
		page, err := pages.NextPage(bounded)
		stop()
		if err != nil {
			return nil, fail(ref, "list the versions of", "ListSecretVersionIds", err)
		}
		for _, v := range page.Versions {
			list = append(list, secretstore.VersionInfo{Version: secretstore.Version(aws.ToString(v.VersionId)), CreatedAt: aws.ToTime(v.CreatedDate),
				Current: slices.Contains(v.VersionStages, current), Stages: v.VersionStages})
		}
	}
	slices.SortStableFunc(list, newestFirst)
	return list, nil
}

// newestFirst keeps the current one first where AWS tells times to the second only.
func newestFirst(a, b secretstore.VersionInfo) int {
	if a.Current != b.Current {
		if a.Current {
			return -1
		}
		return 1
	}
	return b.CreatedAt.Compare(a.CreatedAt)
}

// List names the secrets whose name begins with the place's.
func (s *Store) List(ctx context.Context, place secretstore.Ref) ([]secretstore.Entry, error) {
	c, err := s.client(ctx, place)
	if err != nil {
		return nil, err
	}
	in := &secretsmanager.ListSecretsInput{}
	if place.Name != "" {
		in.Filters = []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{place.Name}}}
	}
	var list []secretstore.Entry
	pages := secretsmanager.NewListSecretsPaginator(c, in)
	for pages.HasMorePages() {
		bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
		page, err := pages.NextPage(bounded)
		stop()
		if err != nil {
			return nil, fail(place, "list", "ListSecrets", err)
		}
		for _, one := range page.SecretList {
			list = append(list, secretstore.Entry{Ref: place.With(aws.ToString(one.Name), "")})
		}
	}
	return list, nil
}

// Watch fails: AWS tells of changes by EventBridge, which is for services.
func (s *Store) Watch(_ context.Context, ref secretstore.Ref, _ secretstore.Version) error {
	return secretstore.Cannot(ref, "Secrets Manager is polled")
}

// Close does nothing.
func (s *Store) Close() error { return nil }
