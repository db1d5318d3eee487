// Command figures runs the commands in the console blocks of documents anew and puts what they print in the place of what
// they printed last time:
//
//	go run ./benchmark/figures [-only TEXT] README.md ...
//
// A console block begins with a line ```console; a line in it that begins with "$ " is a command for the shell, which is
// run in the working directory, and all lines up to the next command or the end of the block are its output. With -only, commands
// that do not contain the text are left as they are.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	only := flag.String("only", "", "run only the commands that contain this text")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, path := range flag.Args() {
		if err := refresh(context.Background(), path, *only); err != nil {
			fmt.Fprintf(os.Stderr, "figures: %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func refresh(ctx context.Context, path, only string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	renewed, err := renew(string(text), func(command string) (string, error) {
		fmt.Fprintf(os.Stderr, "figures: %s\n", command)
		c := exec.CommandContext(ctx, "sh", "-c", command) //nolint:gosec // the document's own commands are what this is for
		c.Stderr = os.Stderr
		out, err := c.Output()
		return string(out), err
	}, only)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(renewed), 0o644) //nolint:gosec // a document
}

const (
	fence  = "```"
	prompt = "$ "
)

// renew returns the text with the output of its commands replaced by what run says.
func renew(text string, run func(command string) (string, error), only string) (string, error) {
	var out strings.Builder
	inside, drop := false, false
	for line := range strings.Lines(text) {
		bare := strings.TrimSuffix(line, "\n")
		switch {
		case !inside:
			inside = bare == fence+"console"
			out.WriteString(line)
		case bare == fence:
			inside, drop = false, false
			out.WriteString(line)
		case strings.HasPrefix(bare, prompt):
			out.WriteString(line)
			command := strings.TrimPrefix(bare, prompt)
			if drop = strings.Contains(command, only); !drop {
				continue
			}
			said, err := run(command)
			if err != nil {
				return "", fmt.Errorf("%s: %w", command, err)
			}
			for l := range strings.Lines(strings.TrimSpace(said)) {
				out.WriteString(strings.TrimRight(l, " \n") + "\n")
			}
		case !drop:
			out.WriteString(line)
		}
	}
	return out.String(), nil
}
