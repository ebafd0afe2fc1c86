package main

import (
	"os"
	"time"
)

const parentPollInterval = 500 * time.Millisecond

// whenParentGone ends this process once the engine, which started it, has died: nobody is left to record what it would
// make. The SDK's own health check asks only every few minutes.
func whenParentGone() {
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(parentPollInterval)
		}
		os.Exit(1)
	}()
}
