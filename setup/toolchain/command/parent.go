package main

import (
	"os"
	"time"
)

const (
	parentPollInterval = 500 * time.Millisecond
	// Time for cancelled commands to be reaped.
	orphanGrace = 2 * time.Second
)

// whenParentGone calls cancel once the engine, which started us, has died, and ends this process soon after.
// The SDK's own health check asks only every few minutes.
func whenParentGone(cancel func()) {
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(parentPollInterval)
		}
		cancel()
		time.Sleep(orphanGrace)
		os.Exit(1)
	}()
}
