// Package secretstore is the port to the places where teams keep runner tokens, and
// the references by which they are named. It owns the parser of references, what is
// kept beside a token, and what a value must look like; each store is a package
// below. It refuses to read an environment or a file, to know a product's API, and
// to hold a secret as anything but a rekey.Token.
package secretstore

import (
	"context"
	"time"

	"rekey"
)

// Store is one product, reached with one set of credentials. Its methods may be
// used concurrently. Errors are *rekey.Error and never hold a secret: denied names
// the line of policy that is missing, unavailable may pass by itself. A store never
// repeats a write blindly: see Put.
type Store interface {
	// Features says what can be done with ref; what cannot fails with KindInvalid. It
	// may ask the store: two versions of one engine differ.
	Features(ctx context.Context, ref Ref) (Features, error)
	// Get reads one version, the current one for "". A secret that was never there,
	// or a version that was deleted, is KindNotFound.
	Get(ctx context.Context, ref Ref, version Version) (Secret, error)
	// Put makes value the current version if what is there is as p.If says, else
	// KindConflict and nothing is changed. What stands beside it in the same secret
	// stays. When the answer is lost the store looks once: nil means that the value
	// is there; OutcomeUnknown tells that nobody knows.
	Put(ctx context.Context, ref Ref, value rekey.Token, p Put) (Version, error)
	// Versions lists what is kept, the newest first.
	Versions(ctx context.Context, ref Ref) ([]VersionInfo, error)
	// List names the secrets below a place (see ParsePlace), without their values.
	List(ctx context.Context, place Ref) ([]Entry, error)
	// Delete removes the token, and the secret around it when nothing else is left
	// in it. KindNotFound when it was not there.
	Delete(ctx context.Context, ref Ref) error
	// Watch returns when the current version is no longer since, or with ctx's error.
	Watch(ctx context.Context, ref Ref, since Version) error
	// Close releases what the store holds open.
	Close() error
}

// Version names one state of a secret, in the store's own words. Equal versions of
// one reference hold equal values.
type Version string

// Secret is what was read.
type Secret struct {
	Value     rekey.Token
	Version   Version
	Meta      Metadata
	CreatedAt time.Time // of this version, zero when the store does not say
}

// Put is how a value is written.
type Put struct {
	Meta Metadata
	If   Expect
}

// Expect is what must be there for a write to be made. The zero value is anything.
type Expect struct {
	kind    expectation
	version Version
}

type expectation int

const (
	anything expectation = iota
	absent
	exactly
)

// Absent expects that there is no secret yet.
func Absent() Expect { return Expect{kind: absent} }

// Current expects that v is the current version.
func Current(v Version) Expect { return Expect{exactly, v} }

// Any reports whether anything may be there.
func (e Expect) Any() bool { return e.kind == anything }

// Absent reports whether nothing may be there.
func (e Expect) Absent() bool { return e.kind == absent }

// Version returns the version that must be there, and whether one must.
func (e Expect) Version() (Version, bool) { return e.version, e.kind == exactly }

// Check compares what is there with what is expected, for stores that have to do so
// themselves. Found is false when there is nothing.
func (e Expect) Check(ref Ref, now Version, found bool) error {
	switch {
	case e.Absent() && found:
		return Moved(ref, "there is a secret already")
	case e.kind == exactly && !found:
		return Moved(ref, "it is gone")
	case e.kind == exactly && now != e.version:
		return Moved(ref, "another version is current now")
	}
	return nil
}

// VersionInfo is one version without its value.
type VersionInfo struct {
	Version   Version
	CreatedAt time.Time
	Current   bool
	Deleted   bool
	Stages    []string // the store's own labels, AWSPENDING
}

// Entry is one secret below a place, or a place again.
type Entry struct {
	Ref   Ref
	Place bool
	Meta  Metadata // where the list tells it
}

// Swap says how a store compares before it writes.
type Swap string

// The ways to compare, from the best to the least.
const (
	SwapAtomic  Swap = "atomic"  // of two writers with the same expectation one wins
	SwapChecked Swap = "checked" // rekey looks before it writes; another may write between
	SwapNone    Swap = "none"
)

// Features is what a store can do.
type Features struct {
	Write    bool
	Swap     Swap
	Versions bool // earlier versions can be listed and read
	List     bool
	Delete   bool
	Watch    bool
	Metadata bool
}
