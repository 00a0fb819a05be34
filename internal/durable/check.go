package durable

// CheckWritable says how Replace would change path, or why it could not, without
// changing anything: a read-only file system or mount, a missing right, the
// immutable flag, a full disk. The hint of the error says what to do. It is
// asked before anything is asked of GitLab, so that no token is made that could
// not be written; InPlace means that Replace will want AllowInPlace.
func CheckWritable(path string) (How, error) {
	t, err := openTarget(path)
	if err != nil {
		return "", err
	}
	if err := t.obstacle(); err != nil {
		return "", err
	}
	if t.hindrance() != "" {
		return InPlace, nil
	}
	return preferred, nil
}
