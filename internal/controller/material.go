package controller

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"

	"rekey"
	"rekey/internal/diagnose"
	"rekey/internal/remedy"
)

// sectionKey names a section among all that are observed.
type sectionKey struct {
	config string
	index  int
}

// material is what the TLS files of a section on another host hold, or why it
// cannot be asked about without them.
type material struct {
	remote  *remedy.RemoteTLS
	problem string
}

// withMaterial reads the TLS files of a config's sections on the host that the
// config lies on: a file of this machine that has the same name is another one.
func (s Source) withMaterial(all map[sectionKey]material, config string, c diagnose.Config) map[sectionKey]material {
	if all == nil {
		all = map[sectionKey]material{}
	}
	read := s.remembering()
	for _, d := range c.Sections {
		all[sectionKey{d.Config, d.Index}] = s.materialOf(d, config, read)
	}
	return all
}

// remembering reads each file once: a thousand sections may name one CA.
func (s Source) remembering() func(string) (string, error) {
	type content struct {
		text string
		err  error
	}
	known := map[string]content{}
	return func(name string) (string, error) {
		c, ok := known[name]
		if !ok {
			c.err = errors.New("files of this kind of source cannot be read")
			if s.ReadFile != nil {
				var data []byte
				data, c.err = s.ReadFile(name)
				c.text = string(data)
			}
			known[name] = c
		}
		return c.text, c.err
	}
}

// materialOf follows gitlab-runner: a CA file that is not there is ignored, and
// without one named it is certs/HOST.crt beside the config.
func (s Source) materialOf(d diagnose.Section, config string, read func(string) (string, error)) material {
	m := material{remote: &remedy.RemoteTLS{}}
	failed := func(name string, err error) material {
		m.problem = fmt.Sprintf("it was not asked: the TLS file %s that the section needs cannot be read: %v", s.named(name), err)
		return m
	}
	ca := d.TLS.CA
	if ca == "" {
		ca = defaultCA(d, config)
	}
	var err error
	if ca != "" {
		if m.remote.CA, err = read(ca); err != nil && !errors.Is(err, fs.ErrNotExist) && (d.TLS.CA != "" || s.ReadFile != nil) {
			return failed(ca, err)
		}
	}
	if d.TLS.Cert == "" || d.TLS.Key == "" {
		return m
	}
	if m.remote.Cert, err = read(d.TLS.Cert); err != nil {
		return failed(d.TLS.Cert, err)
	}
	key, err := read(d.TLS.Key)
	if err != nil {
		return failed(d.TLS.Key, err)
	}
	m.remote.Key = rekey.NewToken(key)
	return m
}

func defaultCA(d diagnose.Section, config string) string {
	address := d.URL
	if d.Expanded != nil {
		address = d.ExpandedURL
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return ""
	}
	return path.Join(path.Dir(config), "certs", u.Hostname()+".crt")
}
