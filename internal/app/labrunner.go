package app

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"rekey"
	"rekey/internal/lab/simrunner"
)

// SimulatedInput is what lab runner is asked. Count is how many processes are
// simulated on the one config, each with a system id of its own. Records is how
// many runner records are first made on the running lab in LabDir, for a config
// that is new.
type SimulatedInput struct {
	Config, Version, BuildsDir string
	Count                      int
	Records                    int
	LabDir                     string
}

// SimulatedRunner runs until ctx ends: SIGHUP reloads, SIGQUIT drains.
func (a *App) SimulatedRunner(ctx context.Context, in SimulatedInput, log io.Writer) error {
	if in.Records != 0 {
		if err := a.makeRecords(ctx, in); err != nil {
			return err
		}
	}
	options := simrunner.Options{Config: in.Config, Log: log, Now: a.Now, BuildsDir: in.BuildsDir, Getenv: func(name string) string { return a.env(name) }}
	if in.Version != "" {
		v, err := rekey.ParseVersion(in.Version)
		if err != nil {
			return err
		}
		options.Version = v
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	fleet, err := simrunner.NewFleet(options, in.Count)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == syscall.SIGQUIT {
					fleet.Drain()
				} else {
					fleet.Reload()
				}
			}
		}
	}()
	return fleet.Run(ctx)
}
