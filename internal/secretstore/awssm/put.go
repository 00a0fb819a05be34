package awssm

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"rekey"
	"rekey/internal/secretstore"
)

// mostTries bounds how often a write begins anew because somebody else was faster.
const mostTries = 5

// errMoved is a comparison that failed at AWS.
var errMoved = errors.New("another version is current")

// Put makes the secret, or its next version. The SDK may repeat each of the requests:
// the version's id is chosen here, which makes the repetition harmless.
func (s *Store) Put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (secretstore.Version, error) {
	for try := 1; ; try++ {
		id, err := s.put(ctx, ref, value, p)
		switch {
		case errors.Is(err, errMoved) && p.If.Any() && try < mostTries:
			continue
		case errors.Is(err, errMoved):
			return "", secretstore.Moved(ref, "another version is current now")
		case isLost(err):
			return secretstore.Settle(ctx, s, ref, value, err)
		}
		return secretstore.Version(id), err
	}
}

func (s *Store) put(ctx context.Context, ref secretstore.Ref, value rekey.Token, p secretstore.Put) (string, error) {
	doc, found, err := s.now(ctx, ref)
	scheduled := errors.Is(err, errScheduled)
	if err != nil && !scheduled {
		return "", err
	}
	_, there := doc.fields[ref.Key]
	if err := p.If.Check(ref, secretstore.Version(doc.id), found && (ref.Key == "" || there)); err != nil {
		return "", err
	}
	text, err := doc.with(ref, value, p.Meta)
	if err != nil {
		return "", err
	}
	switch {
	case scheduled: // its name cannot be used otherwise
		return s.restore(ctx, ref, text)
	case !found:
		return s.create(ctx, ref, text)
	}
	return s.replace(ctx, ref, doc, text)
}

// now reads what is current; the error is errScheduled for a secret that was deleted.
func (s *Store) now(ctx context.Context, ref secretstore.Ref) (document, bool, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &ref.Name, VersionStage: aws.String(current)}
	doc, err := s.read(ctx, ref, in)
	switch {
	case err == nil:
		return doc, true, nil
	case errors.Is(err, errScheduled):
		return document{}, false, err
	case rekey.KindOf(err) == rekey.KindNotFound:
		return document{}, false, nil
	}
	return doc, false, err
}

func (s *Store) create(ctx context.Context, ref secretstore.Ref, text string) (string, error) {
	c, err := s.client(ctx, ref)
	if err != nil {
		return "", err
	}
	bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	id := newVersion()
	_, err = c.CreateSecret(bounded, &secretsmanager.CreateSecretInput{Name: &ref.Name, SecretString: &text, ClientRequestToken: &id, Description: aws.String("a GitLab runner token, kept by rekey")})
	var exists *types.ResourceExistsException
	switch {
	case err == nil:
		return id, nil
	case errors.As(err, &exists):
		return "", errMoved
	}
	return "", fail(ref, "write", "CreateSecret", err)
}

// restore brings a deleted secret back and gives it its next version.
func (s *Store) restore(ctx context.Context, ref secretstore.Ref, text string) (string, error) {
	c, err := s.client(ctx, ref)
	if err != nil {
		return "", err
	}
	bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	if _, err := c.RestoreSecret(bounded, &secretsmanager.RestoreSecretInput{SecretId: &ref.Name}); err != nil {
		return "", fail(ref, "write", "RestoreSecret", err)
	}
	doc, err := s.read(ctx, ref, &secretsmanager.GetSecretValueInput{SecretId: &ref.Name, VersionStage: aws.String(current)})
	if err != nil {
		return "", err
	}
	return s.replace(ctx, ref, doc, text)
}

// replace is createSecret and finishSecret of AWS's rotation.
func (s *Store) replace(ctx context.Context, ref secretstore.Ref, doc document, text string) (string, error) {
	c, err := s.client(ctx, ref)
	if err != nil {
		return "", err
	}
	id, err := s.pend(ctx, c, ref, doc, text)
	if err != nil {
		return "", err
	}
	bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	_, err = c.UpdateSecretVersionStage(bounded, &secretsmanager.UpdateSecretVersionStageInput{SecretId: &ref.Name, VersionStage: aws.String(current), MoveToVersionId: &id, RemoveFromVersionId: &doc.id})
	var refused *types.InvalidParameterException
	if err == nil || errors.As(err, &refused) && s.isCurrent(ctx, ref, id) {
		return id, nil
	}
	if errors.As(err, &refused) {
		s.unpend(ctx, c, ref, id)
		return "", errMoved
	}
	return "", fail(ref, "write", "UpdateSecretVersionStage", err)
}

// isCurrent looks whether a repeated request had moved the stage the first time.
func (s *Store) isCurrent(ctx context.Context, ref secretstore.Ref, id string) bool {
	now, err := s.Get(ctx, ref, "")
	return err == nil && now.Version == secretstore.Version(id)
}

// pend stores the text as AWSPENDING. What a killed rekey left there is used when it is
// the same; somebody else's rotation is left alone. A look that fails tells nothing, and
// a label moved then might be that of a rotation under way.
func (s *Store) pend(ctx context.Context, c *secretsmanager.Client, ref secretstore.Ref, doc document, text string) (string, error) {
	bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	before, err := c.GetSecretValue(bounded, &secretsmanager.GetSecretValueInput{SecretId: &ref.Name, VersionStage: aws.String(pending)})
	var none *types.ResourceNotFoundException
	switch {
	case errors.As(err, &none):
	case err != nil:
		return "", fail(ref, "look for another rotation of", "GetSecretValue", err)
	case aws.ToString(before.VersionId) != doc.id:
		switch there := aws.ToString(before.VersionId); {
		case aws.ToString(before.SecretString) == text:
			return there, nil
		case !strings.HasPrefix(there, ownVersion):
			return "", rekey.Errorf(rekey.KindConflict, "%s was not written: another rotation is under way, version %s is %s", ref, there, pending).
				WithHint("wait for it; if it was given up: aws secretsmanager update-secret-version-stage --secret-id %s --version-stage %s --remove-from-version-id %s", ref.Name, pending, there)
		}
	}
	id := newVersion()
	_, err = c.PutSecretValue(bounded, &secretsmanager.PutSecretValueInput{SecretId: &ref.Name, SecretString: &text, ClientRequestToken: &id, VersionStages: []string{pending}})
	if err != nil {
		return "", fail(ref, "write", "PutSecretValue", err)
	}
	return id, nil
}

// unpend takes the label from a version that did not become current, or the next
// rotation would be taken for one under way.
func (s *Store) unpend(ctx context.Context, c *secretsmanager.Client, ref secretstore.Ref, id string) {
	bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	_, _ = c.UpdateSecretVersionStage(bounded, &secretsmanager.UpdateSecretVersionStageInput{SecretId: &ref.Name, VersionStage: aws.String(pending), RemoveFromVersionId: &id}) // another writer may have it already
}

// Delete takes the key out of the secret, or schedules the secret for deletion when
// nothing else is in it; AWS can restore it for thirty days.
func (s *Store) Delete(ctx context.Context, ref secretstore.Ref) error {
	doc, found, err := s.now(ctx, ref)
	if err != nil {
		return err
	}
	if _, there := doc.fields[ref.Key]; !found || ref.Key != "" && !there {
		return secretstore.Missing(ref, "there is no such secret or key")
	}
	fields := maps.Clone(doc.fields)
	delete(fields, ref.Key)
	delete(fields, secretstore.Beside(ref.Key))
	if len(fields) > 0 {
		text, err := encode(fields)
		if err == nil {
			_, err = s.replace(ctx, ref, doc, text)
		}
		if errors.Is(err, errMoved) {
			return secretstore.Moved(ref, "another version is current now")
		}
		return err
	}
	c, err := s.client(ctx, ref)
	if err != nil {
		return err
	}
	bounded, stop := context.WithTimeout(ctx, s.opts.Patience)
	defer stop()
	if _, err := c.DeleteSecret(bounded, &secretsmanager.DeleteSecretInput{SecretId: &ref.Name}); err != nil {
		return fail(ref, "delete", "DeleteSecret", err)
	}
	return nil
}
