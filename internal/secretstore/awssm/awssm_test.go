package awssm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rekey"
	"rekey/internal/secretstore"
	"rekey/internal/secretstore/awssm"
	"rekey/internal/secretstore/secretstoretest"
)

func setup(url string) []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithBaseEndpoint(url), config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil), config.WithRetryMaxAttempts(1),
		config.WithCredentialsProvider(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "CANARYsecretkey"}, nil
		})),
	}
}

func open(url string) *awssm.Store { return awssm.New(awssm.Options{Configure: setup(url)}) }

// raw is AWS as somebody else uses it.
func raw(t *testing.T, url string) *secretsmanager.Client {
	t.Helper()
	loaded, err := config.LoadDefaultConfig(t.Context(), append(setup(url), config.WithRegion("eu-central-1"))...)
	if err != nil {
		t.Fatal(err)
	}
	return secretsmanager.NewFromConfig(loaded)
}

func ref(t *testing.T, text string) secretstore.Ref {
	t.Helper()
	r, err := secretstore.Parse("awssm://eu-central-1/" + text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wants(t *testing.T, what string, err error, kind rekey.Kind, texts ...string) {
	t.Helper()
	if err == nil || rekey.KindOf(err) != kind {
		t.Errorf("%s: got %v, want %s", what, err, kind)
		return
	}
	secretstoretest.Sweep(t, err)
	for _, text := range texts {
		if !strings.Contains(err.Error()+"\n"+rekey.HintOf(err), text) {
			t.Errorf("%s: got %q, hint %q, want %q", what, err, rekey.HintOf(err), text)
		}
	}
}

// TestSecretsManager starts one emulator for all.
func TestSecretsManager(t *testing.T) {
	t.Parallel()
	url := secretstoretest.Moto(t)
	for name, test := range map[string]func(*testing.T, string){"stages": stages, "foreign rotation": foreignRotation, "unseen rotation": unseenRotation, "killed between": killedBetween, "shapes": shapes, "deleted": deleted} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, url) })
	}
}

// stages: after a write the labels are where AWS's own rotation leaves them.
func stages(t *testing.T, url string) {
	s, r := open(url), ref(t, "stages")
	var made [3]secretstore.Version
	for i := range made {
		version, err := s.Put(t.Context(), r, secretstoretest.Token(i), secretstore.Put{})
		if err != nil {
			t.Fatal(err)
		}
		made[i] = version
	}
	all, err := s.Versions(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	got := map[secretstore.Version]string{}
	for _, v := range all {
		for _, stage := range v.Stages {
			if stage != "AWSPENDING" || !v.Current { // on the current version it means nothing, as after AWS's rotation
				got[v.Version] += stage
			}
		}
	}
	if got[made[2]] != "AWSCURRENT" || got[made[1]] != "AWSPREVIOUS" {
		t.Errorf("stages %v, want AWSCURRENT on %s, AWSPREVIOUS on %s", got, made[2], made[1])
	}
}

// foreignRotation: what another rotation has begun is left alone and named.
func foreignRotation(t *testing.T, url string) {
	s, r := open(url), ref(t, "foreign")
	before, err := s.Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{})
	if err != nil {
		t.Fatal(err)
	}
	id := "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	if _, err := raw(t, url).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &r.Name, SecretString: aws.String("CANARYtheirs"), ClientRequestToken: &id, VersionStages: []string{"AWSPENDING"}}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), r, secretstoretest.Token(2), secretstore.Put{})
	wants(t, "Put during a rotation", err, rekey.KindConflict, "another rotation is under way", "--remove-from-version-id "+id)
	if got, err := s.Get(t.Context(), r, ""); err != nil || got.Version != before {
		t.Errorf("after the conflict: %s, %v, want %s", got.Version, err, before)
	}
}

// unseenRotation: where AWS does not tell whether a rotation is under way nothing is
// written, and its label stays where it is.
func unseenRotation(t *testing.T, url string) {
	for code, c := range map[string]struct {
		status int
		kind   rekey.Kind
	}{
		"ThrottlingException": {400, rekey.KindUnavailable}, "AccessDeniedException": {400, rekey.KindDenied}, "InternalServiceError": {500, rekey.KindUnavailable},
	} {
		s, r := open(url), ref(t, "unseen/"+code)
		before, err := s.Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{})
		if err != nil {
			t.Fatal(err)
		}
		id := "aaaaaaaa-bbbb-cccc-dddd-" + fmt.Sprintf("%012d", len(code))
		if _, err := raw(t, url).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &r.Name, SecretString: aws.String("CANARYtheirs"), ClientRequestToken: &id, VersionStages: []string{"AWSPENDING"}}); err != nil {
			t.Fatal(err)
		}
		line := secretstoretest.NewLine(t, url, nil)
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			if strings.Contains(string(body), `"VersionStage":"AWSPENDING"`) && strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".GetSecretValue") {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(c.status)
				_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "no"})
				return
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			line.ServeHTTP(w, req)
		}))
		t.Cleanup(front.Close)
		_, err = open(front.URL).Put(t.Context(), r, secretstoretest.Token(2), secretstore.Put{})
		wants(t, code, err, c.kind, "look for another rotation of "+r.String())
		if secretstore.OutcomeUnknown(err) {
			t.Errorf("%s: a write that was never sent is called unknown: %v", code, err)
		}
		if got, err := s.Get(t.Context(), r, ""); err != nil || got.Version != before {
			t.Errorf("%s: the current version is %s, %v, want %s", code, got.Version, err, before)
		}
		theirs, err := raw(t, url).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &r.Name, VersionStage: aws.String("AWSPENDING")})
		if err != nil {
			t.Fatal(err)
		}
		if on := aws.ToString(theirs.VersionId); on != id {
			t.Errorf("%s: AWSPENDING is on %s, want it on %s still", code, on, id)
		}
	}
}

// killedBetween: a version that was stored and never became current is taken up by the
// next write of the same token, and does not stand in the way of another.
func killedBetween(t *testing.T, url string) {
	for _, next := range []int{2, 3} {
		s, r := open(url), ref(t, fmt.Sprintf("killed%d", next))
		if _, err := s.Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{}); err != nil {
			t.Fatal(err)
		}
		line := secretstoretest.NewLine(t, url, nil)
		var stored atomic.Bool
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if stored.Load() {
				panic(http.ErrAbortHandler)
			}
			stored.Store(strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutSecretValue"))
			line.ServeHTTP(w, r)
		}))
		if _, err := open(front.URL).Put(t.Context(), r, secretstoretest.Token(2), secretstore.Put{}); err == nil || !stored.Load() {
			t.Fatalf("the write that is cut: %v", err)
		}
		front.Close()
		version, err := s.Put(t.Context(), r, secretstoretest.Token(next), secretstore.Put{})
		if got, getErr := s.Get(t.Context(), r, ""); err != nil || getErr != nil || got.Version != version || got.Value != secretstoretest.Token(next) {
			t.Errorf("the write after: %v, %v, got %v", err, getErr, got.Value)
		}
		all, err := s.Versions(t.Context(), r)
		if want := next; err != nil || len(all) != want { // the same token needs no third version
			t.Errorf("token %d: %d versions, %v, want %d", next, len(all), err, want)
		}
	}
}

func shapes(t *testing.T, url string) {
	c, s := raw(t, url), open(url)
	for name, in := range map[string]*secretsmanager.CreateSecretInput{
		"binary": {SecretBinary: []byte("CANARY")}, "list": {SecretString: aws.String(`["CANARY"]`)}, "object": {SecretString: aws.String(`{"number":5,"other":"CANARY"}`)}, "text": {SecretString: aws.String("CANARY")},
	} {
		in.Name = aws.String("shape/" + name)
		if _, err := c.CreateSecret(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"shape/binary": "binary", "shape/list#token": "not a JSON object", "shape/text#token": "leave #token away", "shape/object#number": "not a text",
	} {
		_, err := s.Get(t.Context(), ref(t, text), "")
		wants(t, text, err, rekey.KindInvalid, want)
		_, err = s.Put(t.Context(), ref(t, text), secretstoretest.Token(1), secretstore.Put{If: secretstore.Current("x")})
		if err == nil {
			t.Errorf("%s: Put over it: no error", text)
		}
	}
	_, err := s.Get(t.Context(), ref(t, "shape/object#token"), "")
	wants(t, "a missing key", err, rekey.KindNotFound, "its keys are number, other:")
}

func deleted(t *testing.T, url string) {
	s, r := open(url), ref(t, "deleted")
	if _, err := s.Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), r, "")
	wants(t, "a deleted secret", err, rekey.KindNotFound, "scheduled for deletion", "aws secretsmanager restore-secret --secret-id deleted")
}

// TestRefusals: AWS's own errors, as its API writes them, become what a person needs.
func TestRefusals(t *testing.T) {
	t.Parallel()
	line := secretstoretest.NewLine(t, "http://127.0.0.1:1", nil)
	s, r := open(line.URL), ref(t, "ci/runner")
	for code, c := range map[string]struct {
		status int
		kind   rekey.Kind
		text   string
	}{
		"AccessDeniedException":       {400, rekey.KindDenied, `"secretsmanager:GetSecretValue", "Resource": "arn:aws:secretsmanager:eu-central-1:*:secret:ci/runner-*"`},
		"UnrecognizedClientException": {400, rekey.KindDenied, "aws sts get-caller-identity"},
		"ExpiredTokenException":       {400, rekey.KindDenied, "aws sts get-caller-identity"},
		"ThrottlingException":         {400, rekey.KindUnavailable, "limits the rate"},
		"DecryptionFailure":           {400, rekey.KindDenied, "kms:Decrypt"},
		"InternalServiceError":        {500, rekey.KindUnavailable, "AWS failed"},
	} {
		line.Instead(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(c.status)
			_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "no glrt-CANARYaaaaaaaaaaaaaa"})
		})
		_, err := s.Get(t.Context(), r, "")
		wants(t, code, err, c.kind, c.text)
	}
	line.Instead(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "ResourceNotFoundException", "message": "Secrets Manager can't find the specified secret value for VersionId: x"})
	})
	_, err := s.Get(t.Context(), r, "x")
	wants(t, "a version that is not there", err, rekey.KindNotFound, "rekey secret list "+r.String()+" --versions")
	line.Instead(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>CANARY", http.StatusForbidden) })
	if _, err := s.Get(t.Context(), r, ""); err == nil {
		t.Error("a page of a proxy: no error")
	} else {
		secretstoretest.Sweep(t, err)
	}
	line.Instead(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err = s.Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{})
	wants(t, "a line that breaks while looking", err, rekey.KindUnavailable, "answer was lost")
	if secretstore.OutcomeUnknown(err) {
		t.Error("a write that was never sent, since the look before it failed, is called unknown")
	}
	line.Instead(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client has gone
		<-r.Context().Done()
	})
	_, err = awssm.New(awssm.Options{Configure: setup(line.URL), Patience: 50 * time.Millisecond}).Get(t.Context(), r, "")
	wants(t, "silence", err, rekey.KindUnavailable, "in time")
	_, err = open("http://127.0.0.1:1").Put(t.Context(), r, secretstoretest.Token(1), secretstore.Put{})
	wants(t, "closed", err, rekey.KindUnavailable, "cannot be reached")
	if secretstore.OutcomeUnknown(err) {
		t.Error("a write that no server got is called unknown")
	}
}
