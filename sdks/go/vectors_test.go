package hallpass

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// vectors are every validator's; see the README there.
const vectors = "../../verify/vectors"

func TestVectors(t *testing.T) {
	for file, least := range map[string]int{"tokens.jsonl": 1_000, "feeds.jsonl": 300} {
		t.Run(file, func(t *testing.T) {
			in, err := os.Open(filepath.Join(vectors, file))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			lines := bufio.NewScanner(in)
			lines.Buffer(nil, 1<<20)
			probe, count := probe{}, 0
			for ; lines.Scan(); count++ {
				assertAnswer(t, probe, lines.Bytes())
			}
			if lines.Err() != nil || count < least {
				t.Fatalf("only %d lines: %v", count, lines.Err())
			}
		})
	}
}

func assertAnswer(t *testing.T, probe probe, text []byte) {
	var line probeLine
	if err := json.Unmarshal(text, &line); err != nil {
		t.Fatal(err)
	}
	answer, err := probe.answer(&line)
	if err != nil {
		t.Fatalf("%s: %v", line.ID, err)
	}
	if line.Expect == nil {
		t.Fatalf("%s expects nothing", line.ID)
	}
	written := rewritten(t, answer)
	for member, expected := range line.Expect {
		if member == "claims" || reflect.DeepEqual(written[member], expected) {
			continue
		}
		t.Errorf("%s: %s is %v, expected %v", line.ID, member, written[member], expected)
		explain(t, &line, written, expected)
	}
}

// explain names the steps of a feed that were answered otherwise.
func explain(t *testing.T, line *probeLine, written probeAnswer, expected any) {
	steps, _ := expected.([]any)
	answers, _ := written["steps"].([]any)
	for number, step := range steps {
		if number < len(answers) && !reflect.DeepEqual(step, answers[number]) {
			t.Logf("step %d, %s: %v, expected %v", number, line.Steps[number].Do, answers[number], step)
		}
	}
}

// rewritten is what a reader of the answer sees.
func rewritten(t *testing.T, answer probeAnswer) (seen probeAnswer) {
	text, err := json.Marshal(answer)
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// vectorLine is the first line of that kind.
func vectorLine(t *testing.T, kind string) *probeLine {
	in, err := os.Open(filepath.Join(vectors, "tokens.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for lines := json.NewDecoder(in); ; {
		var line probeLine
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Kind == kind {
			return &line
		}
	}
}
