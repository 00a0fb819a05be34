package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"rekey"
	"rekey/internal/lab"
)

// LabInput is what lab up is asked.
type LabInput struct {
	Dir, Listen, Version, Profile, URL string
}

// freshLabVersion is what a new lab is when nothing is asked for.
var freshLabVersion = rekey.Version{Major: 17, Minor: 11}

// LabUp serves a lab in the foreground until ctx ends. Once it serves, DIR/lab.json
// is there and one line is written to out.
func (a *App) LabUp(ctx context.Context, in LabInput, out io.Writer) error {
	options := lab.Options{Dir: in.Dir, Profile: in.Profile, Now: a.Now, URL: in.URL}
	exists, err := labIn(in.Dir)
	switch {
	case err != nil:
		return err
	case in.Version != "":
		if options.Version, err = rekey.ParseVersion(in.Version); err != nil {
			return err
		}
	case !exists:
		options.Version = freshLabVersion
	}
	server, err := lab.OpenRehearsal(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	listener, err := net.Listen("tcp", in.Listen)
	if err != nil {
		return rekey.Errorf(rekey.KindUnavailable, "the lab cannot listen: %w", err).WithHint("choose another address with --listen 127.0.0.1:0")
	}
	server.SetAddress(listener.Addr().String())
	if in.URL == "" {
		server.SetURL("http://" + listener.Addr().String())
	}
	if err := server.WriteInfo(); err != nil {
		return err
	}
	fmt.Fprintln(out, server.StartLine())
	return server.Serve(ctx, listener)
}

// labIn reports whether there is a lab in dir.
func labIn(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, "lab.sqlite"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, rekey.Errorf(rekey.KindUnavailable, "look for a lab: %w", err)
	}
	return true, nil
}
