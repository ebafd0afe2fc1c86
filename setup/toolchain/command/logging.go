package main

import (
	"bufio"
	"context"
	"io"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// Logging says which streams show while a command runs. Both are kept as outputs in any case.
type Logging string

const (
	logStdout          Logging = "stdout"
	logStderr          Logging = "stderr"
	logStdoutAndStderr Logging = "stdoutAndStderr"
	logNone            Logging = "none"
)

// Values are what the program may give.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: string(logStdout), Value: logStdout, Description: "Show stdout but not stderr"},
		{Name: string(logStderr), Value: logStderr, Description: "Show stderr but not stdout"},
		{Name: string(logStdoutAndStderr), Value: logStdoutAndStderr, Description: "Show stdout and stderr"},
		{Name: string(logNone), Value: logNone, Description: "Show nothing"},
	}
}

// Annotate names the type as the npm package does.
func (l *Logging) Annotate(a infer.Annotator) {
	a.SetToken("local", "Logging")
}

func (l *Logging) logsStdout() bool {
	return l == nil || *l == logStdout || *l == logStdoutAndStderr
}

func (l *Logging) logsStderr() bool {
	return l == nil || *l == logStderr || *l == logStdoutAndStderr
}

// lineLogger shows each line as the resource's status.
type lineLogger struct {
	*io.PipeWriter
	done chan struct{}
}

func newLineLogger(ctx context.Context) lineLogger {
	reader, writer := io.Pipe()
	logger := lineLogger{writer, make(chan struct{})}
	go func() {
		defer close(logger.done)
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			provider.GetLogger(ctx).InfoStatus(lines.Text())
		}
		// A line over 64 KiB ends the scan. Without a reader the command's output would not be captured any more.
		_, _ = io.Copy(io.Discard, reader)
	}()
	return logger
}

// close returns when the last line was handed over.
func (l lineLogger) close() {
	_ = l.PipeWriter.Close()
	<-l.done
}
