package durable

import "slices"

// CheckWritable says how Replace would change path, or why it could not, without
// changing anything: a read-only file system or mount, a missing right, the
// immutable flag, a full disk. The hint of the error says what to do. It is
// asked before anything is asked of GitLab, so that no token is made that could
// not be written; InPlace means that Replace will want AllowInPlace. The options are
// those that Replace will have.
func CheckWritable(path string, opts ...Option) (How, error) {
	t, err := openTarget(path)
	if err != nil {
		return "", err
	}
	t.pinned = slices.Contains(opts, Pinned)
	if err := t.obstacle(); err != nil {
		return "", err
	}
	if t.only() != "" {
		return InPlace, nil
	}
	return preferred, nil
}
