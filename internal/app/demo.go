package app

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"rekey"
	"rekey/internal/demo"
	"rekey/internal/lab"
)

// DemoInput is what lab demo is asked.
type DemoInput = demo.Options

// Demo runs the demonstration on a lab of its own.
func (a *App) Demo(ctx context.Context, in DemoInput) error {
	in.Lab = a.demoLab
	return demo.Run(ctx, in)
}

// demoLab is demo.Lab.
type demoLab struct {
	*lab.Server
	back *atomic.Int64
}

func (l demoLab) AdminToken() string        { return l.Info().AdminToken }
func (l demoLab) RegistrationToken() string { return l.Info().RegistrationTokens["instance"] }
func (l demoLab) SetBack(d time.Duration)   { l.back.Store(int64(d)) }

func (a *App) demoLab(ctx context.Context, dir, version string) (demo.Lab, func(), error) {
	v, err := rekey.ParseVersion(version)
	if err != nil {
		return nil, nil, err
	}
	back := &atomic.Int64{}
	server, err := lab.Open(ctx, lab.Options{Dir: dir, Version: v, Now: func() time.Time { return a.Now().Add(-time.Duration(back.Load())) }})
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	server.SetURL("http://" + listener.Addr().String())
	if err := server.WriteInfo(); err != nil {
		return nil, nil, err
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(serving, listener)
	}()
	return demoLab{server, back}, func() {
		cancel()
		<-done
		_ = server.Close()
	}, nil
}
