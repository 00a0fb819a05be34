package durable

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

// crashPlan is the only state of the process as a whole: the points passed so
// far are a property of the process that a test kills, not of a value.
type crashPlan struct {
	mu     sync.Mutex
	passed int
	at     int    // 0: never
	log    string // "": none
}

var plan = sync.OnceValue(func() *crashPlan {
	at, err := strconv.Atoi(os.Getenv("REKEY_CRASH_AT"))
	log := os.Getenv("REKEY_CRASH_LOG")
	if (err != nil || at < 1) && log == "" {
		return nil
	}
	return &crashPlan{at: at, log: log}
})

// Point marks a place where a crash must lose nothing. It does nothing unless
// REKEY_CRASH_AT or REKEY_CRASH_LOG is set; see the package comment. Names are
// for people, dotted, and need not be unique. Safe for concurrent use.
func Point(name string) {
	if p := plan(); p != nil {
		p.pass(name)
	}
}

// Call runs fn between the points name:before and name:after and returns its
// error. Every durable act goes through it.
func Call(name string, fn func() error) error {
	Point(name + ":before")
	err := fn()
	Point(name + ":after")
	return err
}

func (p *crashPlan) pass(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed++
	if p.log != "" {
		p.write(name)
	}
	if p.passed == p.at {
		die()
	}
}

// write ignores errors: a point must not change what the run does.
func (p *crashPlan) write(name string) {
	f, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = fmt.Fprintf(f, "%d %s\n", p.passed, name)
}

// die ends the process as a power cut would: no deferred call runs.
func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		_ = self.Kill()
	}
	select {}
}
