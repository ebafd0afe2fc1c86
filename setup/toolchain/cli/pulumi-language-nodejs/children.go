package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// How long a program may take to end after SIGTERM before it gets SIGKILL.
	stopGrace = 2 * time.Second
	// How long output may still arrive after a program has ended: something it left behind may hold the pipe.
	outputGrace = 5 * time.Second
)

// children are the Node processes that run now, each the leader of a process group of its own.
type children struct {
	mutex sync.Mutex
	// running maps a process id to a channel that is closed when that process has ended.
	running map[int]chan struct{}
}

func newChildren() *children {
	return &children{running: map[int]chan struct{}{}}
}

// run starts cmd and returns what wait returns; wait must call cmd.Wait. When ctx ends, so does cmd.
// If this process is killed, the kernel kills cmd too.
func (c *children) run(ctx context.Context, cmd *exec.Cmd, wait func() error) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = outputGrace
	result := make(chan error, 1)
	go func() {
		// Pdeathsig fires when the thread that started the child ends: this one is kept for as long as the child runs.
		runtime.LockOSThread()
		result <- c.runHere(ctx, cmd, wait)
	}()
	return <-result
}

func (c *children) runHere(ctx context.Context, cmd *exec.Cmd, wait func() error) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("could not start %s: %w", cmd.Path, err)
	}
	pid, done := cmd.Process.Pid, make(chan struct{})
	c.add(pid, done)
	defer c.remove(pid)
	defer close(done)
	defer context.AfterFunc(ctx, func() { stop(pid, done) })()
	return wait()
}

// stopAll ends every running program: SIGTERM to its group, then SIGKILL. It returns when all have ended.
func (c *children) stopAll() {
	var group sync.WaitGroup
	for pid, done := range c.snapshot() {
		group.Go(func() { stop(pid, done) })
	}
	group.Wait()
}

func stop(pid int, done <-chan struct{}) {
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(stopGrace):
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		<-done
	}
}

func (c *children) add(pid int, done chan struct{}) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.running[pid] = done
}

func (c *children) remove(pid int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.running, pid)
}

func (c *children) snapshot() map[int]chan struct{} {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	copied := make(map[int]chan struct{}, len(c.running))
	for pid, done := range c.running {
		copied[pid] = done
	}
	return copied
}
