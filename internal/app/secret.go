package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"rekey"
	"rekey/internal/secretstore"
)

// SecretInput names one secret.
type SecretInput struct {
	Ref string
	StoreInput
}

// SecretRead is what was read, and what its text tells.
type SecretRead struct {
	Ref secretstore.Ref
	secretstore.Secret
	secretstore.Judgement
}

// Secret reads a version of a secret, "" for the current one.
func (a *App) Secret(ctx context.Context, in SecretInput, version string) (read SecretRead, err error) {
	err = a.withStore(in, func(s secretstore.Store, ref secretstore.Ref) error {
		read.Ref = ref
		read.Secret, err = s.Get(ctx, ref, secretstore.Version(version))
		a.saw(read.Value)
		read.Judgement = secretstore.Judge(read.Value)
		return err
	})
	return read, err
}

// MendSecret writes the cleaned value over one that has white space or quotes around
// it, if nobody wrote meanwhile.
func (a *App) MendSecret(ctx context.Context, in SecretInput, read SecretRead) (version secretstore.Version, err error) {
	err = a.withStore(in, func(s secretstore.Store, ref secretstore.Ref) error {
		version, err = s.Put(ctx, ref, read.Cleaned, secretstore.Put{If: secretstore.Current(read.Version)})
		return err
	})
	return version, err
}

// PutInput is a value for a secret.
type PutInput struct {
	SecretInput
	File    string    // "" or "-": Stdin
	Stdin   io.Reader // read at most to mostSecret
	Any     bool      // also what is no runner token
	Mend    bool      // take white space and quotes away
	Absent  bool      // only where there is none
	Version string    // only over this version, unless ""
	Meta    secretstore.Metadata
}

// SecretWritten says what was written.
type SecretWritten struct {
	Ref     secretstore.Ref
	Version secretstore.Version
	Notes   []string
}

// PutSecret writes a value. A runner token alone is written, byte for byte, unless
// the input says otherwise; the newline that ends a line is no part of it.
func (a *App) PutSecret(ctx context.Context, in PutInput) (done SecretWritten, err error) {
	value, notes, err := a.newSecret(in)
	if err != nil {
		return done, err
	}
	done.Notes = notes
	err = a.withStore(in.SecretInput, func(s secretstore.Store, ref secretstore.Ref) error {
		done.Ref = ref
		f, err := s.Features(ctx, ref)
		if err != nil {
			return err
		}
		done.Notes = append(done.Notes, limits(f, in)...)
		done.Version, err = s.Put(ctx, ref, value, secretstore.Put{Meta: in.Meta, If: in.expect()})
		return err
	})
	return done, err
}

func (in PutInput) expect() secretstore.Expect {
	switch {
	case in.Absent:
		return secretstore.Absent()
	case in.Version != "":
		return secretstore.Current(secretstore.Version(in.Version))
	}
	return secretstore.Expect{}
}

// limits says what was asked for and the store does not have.
func limits(f secretstore.Features, in PutInput) []string {
	var notes []string
	if f.Swap == secretstore.SwapChecked && !in.expect().Any() {
		notes = append(notes, "this store cannot compare and write in one act: rekey looked first, and a writer in between would not be seen")
	}
	asked := in.Meta
	asked.RotatedAt = time.Time{} // written wherever there is room
	if !f.Metadata && !asked.IsZero() {
		notes = append(notes, "this store has no room for runner id, owner and dates beside this value; they are not kept")
	}
	return notes
}

// mostSecret bounds what is read as one value.
const mostSecret = 64 << 10

func (a *App) newSecret(in PutInput) (rekey.Token, []string, error) {
	data, err := readSecret(in)
	if err != nil {
		return rekey.Token{}, nil, err
	}
	var notes []string
	if line := bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")); len(line) != len(data) && !bytes.Contains(line, []byte("\n")) {
		data, notes = line, append(notes, "the newline at the end was left away: it is no part of a token")
	}
	if info, err := os.Stat(in.File); err == nil && info.Mode().Perm()&0o044 != 0 && runtime.GOOS != "windows" {
		notes = append(notes, fmt.Sprintf("others can read %s (mode %04o): remove it, or chmod 600", in.File, info.Mode().Perm()))
	}
	value := rekey.NewToken(string(data))
	a.saw(value)
	j := secretstore.Judge(value)
	a.saw(j.Cleaned)
	switch {
	case value.IsZero():
		return value, nil, rekey.Errorf(rekey.KindInvalid, "there is nothing to write: the input is empty").WithHint("give the token on standard input or with --file")
	case j.Mended && in.Mend:
		return j.Cleaned, append(notes, "what stood around the token was taken away: "+j.Problem), nil
	case j.Mended && !in.Any:
		return value, nil, rekey.Errorf(rekey.KindInvalid, "the value is a runner token with something around it: %s", j.Problem).WithHint("--mend writes it without")
	case !j.Fit && !in.Any:
		return value, nil, rekey.Errorf(rekey.KindInvalid, "the value is no runner authentication token: %s", j.Problem).WithHint("--any writes it as it is")
	case j.Problem != "":
		notes = append(notes, "it looks wrong: "+j.Problem)
	}
	return value, notes, nil
}

func readSecret(in PutInput) ([]byte, error) {
	source := in.Stdin
	if in.File != "" && in.File != "-" {
		f, err := os.Open(in.File)
		if err != nil {
			return nil, rekey.Errorf(rekey.KindInvalid, "the value's file cannot be read: %w", err).WithHint("name a file that holds the token alone, or give it on standard input")
		}
		defer func() { _ = f.Close() }()
		source = f
	}
	data, err := io.ReadAll(io.LimitReader(source, mostSecret+1))
	if err != nil {
		return nil, rekey.Errorf(rekey.KindInvalid, "the value cannot be read: %w", err)
	}
	if len(data) > mostSecret {
		return nil, rekey.Errorf(rekey.KindInvalid, "the value is longer than %d bytes: it is no token", mostSecret)
	}
	return data, nil
}

// SecretList names the secrets below a place; what names one secret lists its place.
func (a *App) SecretList(ctx context.Context, in SecretInput) ([]secretstore.Entry, error) {
	place, err := secretstore.ParsePlace(in.Ref)
	if err != nil {
		return nil, err
	}
	stores := a.Stores(in.StoreInput)
	defer func() { _ = stores.Close() }()
	s, err := stores.For(place)
	if err != nil {
		return nil, err
	}
	return s.List(ctx, place)
}

// SecretVersions lists what is kept of one secret, the newest first.
func (a *App) SecretVersions(ctx context.Context, in SecretInput) (all []secretstore.VersionInfo, err error) {
	err = a.withStore(in, func(s secretstore.Store, ref secretstore.Ref) error {
		all, err = s.Versions(ctx, ref)
		return err
	})
	return all, err
}

// RemoveSecret removes a secret.
func (a *App) RemoveSecret(ctx context.Context, in SecretInput) error {
	return a.withStore(in, func(s secretstore.Store, ref secretstore.Ref) error { return s.Delete(ctx, ref) })
}

func (a *App) withStore(in SecretInput, do func(secretstore.Store, secretstore.Ref) error) error {
	ref, err := secretstore.Parse(in.Ref)
	if err != nil {
		return err
	}
	stores := a.Stores(in.StoreInput)
	defer func() { _ = stores.Close() }()
	s, err := stores.For(ref)
	if err != nil {
		return err
	}
	return do(s, ref)
}
