package main

import (
	"os"
	"time"
)

const (
	parentPollInterval = 500 * time.Millisecond
	// Time for calls in flight to end after their programs were stopped.
	orphanGrace = 3 * time.Second
)

// whenParentGone calls do once the process that started us has died, and makes sure that we end soon after.
// The SDK's health check against the engine's address would notice too, but asks only every few minutes.
func whenParentGone(do func()) {
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(parentPollInterval)
		}
		do()
		time.Sleep(orphanGrace)
		os.Exit(1)
	}()
}
