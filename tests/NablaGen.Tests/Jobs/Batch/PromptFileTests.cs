using System.Text;
using NablaGen.Files;
using NablaGen.Jobs.Batch;

namespace NablaGen.Tests.Jobs.Batch;

public sealed class PromptFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("utf-8", false, "\n")]
    [InlineData("utf-8", true, "\r\n")]
    [InlineData("utf-16", true, "\r\n")]
    [InlineData("utf-16BE", true, "\n")]
    public void A_line_is_a_prompt_but_for_comments_and_blank_lines(string encoding, bool mark, string end)
    {
        var text = string.Join(end, "# red", "  a red ball, \"rolling\"  ", "", "\t", "猫が波に乗る", "a # b");
        var kind = Encoding.GetEncoding(encoding);
        var rows = PromptFile.Read([.. mark ? kind.GetPreamble() : [], .. kind.GetBytes(text)], "a.txt", ".txt");
        Assert.Equal(
            [("a.txt:2", "a red ball, \"rolling\""), ("a.txt:5", "猫が波に乗る"), ("a.txt:6", "a # b")],
            rows.Select(row => (row.Where, row.Request.Prompt!)));
    }

    [Fact]
    public void A_file_without_end_and_a_prompt_of_millions_are_refused()
    {
        Assert.Contains("too long for text", Assert.Throws<NablaGenException>(() => WholeText.Read(new Endless(), "endless", 1 << 20)).Message);
        var row = Encoding.UTF8.GetBytes($"{{\"prompt\":\"{new string('x', 2_000_001)}\"}}");
        Assert.Contains("expected at most 2000000 characters, found 2000001", Assert.Throws<InvalidRequestException>(() => PromptFile.Read(row, "p.jsonl", ".jsonl")).Message);
    }

    [Fact]
    public void Every_option_of_generate_is_a_key()
    {
        var row = Read(".jsonl", """
            {"prompt": "x", "negative_prompt": "", "attention": "nabla-0.6_sta-3-3-3", "dense-steps": 1, "dense_layers": 2, "width": 64,
             "height": "32", "frames": 9, "fps": 12, "steps": 7, "solver": "euler", "shift": 2.5, "guidance": 3, "seed": 5000000000}
            """.ReplaceLineEndings("")).Single().Request;
        Assert.Equal(("x", "", "nabla-0.6_sta-3-3-3", 1, 2), (row.Prompt, row.NegativePrompt, $"{row.Attention}", row.DenseSteps, row.DenseLayers));
        Assert.Equal((64, 32, 9, 12, 7), (row.Width, row.Height, row.Frames, row.Fps, row.Steps));
        Assert.Equal(("euler", 2.5, 3, 5000000000), (row.Solver, row.Shift, row.Guidance, row.Seed));
    }

    [Fact]
    public void A_row_may_hold_a_density() => Assert.Equal(
        [0.2, null], Read(".csv", "prompt,target_density,threshold\na,0.2,\nb,,0.5").Select(row => row.Request.TargetDensity));

    [Fact]
    public void Csv_has_quotes_commas_line_ends_and_empty_cells()
    {
        var rows = Read(".csv", "Prompt,threshold,Negative_Prompt\r\n\"a \"\"b\"\", c\",0.5,\r\n\r\n\"two\r\nlines\",,\"x,y\"\r\nlast,1,\r\n");
        Assert.Equal(["a.csv:2", "a.csv:4", "a.csv:6"], rows.Select(row => row.Where));
        Assert.Equal(["a \"b\", c", "two\r\nlines", "last"], rows.Select(row => row.Request.Prompt));
        Assert.Equal(["nabla-0.5", null, "nabla-1"], rows.Select(row => row.Request.Attention?.ToString()));
        Assert.Equal([null, "x,y", null], rows.Select(row => row.Request.NegativePrompt));
    }

    [Theory]
    [InlineData(".jsonl", "{\"prompt\":\"a\"}\n{\"prompt\":\"a\",\"stepz\":3}", "a.jsonl:2: unknown key \"stepz\": use prompt, negative-prompt")]
    [InlineData(".jsonl", "{\"prompt\":\"a\",\"device\":\"cpu\"}", "a.jsonl:1: \"device\" is the same for all rows")]
    [InlineData(".jsonl", "{\"prompt\":\"a\",\"steps\":true}", "a.jsonl:1: steps: expected a string or a number, found")]
    [InlineData(".jsonl", "{\"prompt\":\"a\",\"dense-steps\":1,\"dense_steps\":1}", "a.jsonl:1: the key \"dense_steps\" comes twice")]
    [InlineData(".jsonl", "\n{\"prompt\":", "a.jsonl:2: is not JSON")]
    [InlineData(".jsonl", "[]", "a.jsonl:1: expected an object")]
    [InlineData(".jsonl", "{\"seed\":1}", "a.jsonl:1: the prompt is empty")]
    [InlineData(".jsonl", "{\"prompt\":\"a\",\"attention\":\"dens\"}", "a.jsonl:1: attention 'dens' is not known")]
    [InlineData(".jsonl", "{\"prompt\":\"a\",\"attention\":\"dense\",\"threshold\":0.5}", "a.jsonl:1: --threshold and --attention both")]
    [InlineData(".jsonl", "{\"prompt\":\"a\",\"target-density\":0.2,\"threshold\":0.5}", "a.jsonl:1: --target-density adapts the threshold")]
    [InlineData(".csv", "prompt,steps\na,1\nb,1.5\nc,x", "a.csv:3: steps: '1.5' is not a whole number (also wrong: a.csv:4)")]
    [InlineData(".csv", "prompt,shift\na,\"5,5\"", "a.csv:2: shift: '5,5' is not a number")]
    [InlineData(".csv", "prompt,dtype\na,float32", "a.csv:1: \"dtype\" is the same for all rows, and belongs to the command line")]
    [InlineData(".csv", "prompt,colour\na,red", "a.csv:1: unknown key \"colour\"")]
    [InlineData(".csv", "prompt,seed,Seed\na,1,2", "a.csv:1: the column \"seed\" comes twice")]
    [InlineData(".csv", "seed\n1", "a.csv:1: the header has no column \"prompt\"")]
    [InlineData(".csv", "prompt,seed\na,b,1", "a.csv:2: expected 2 cells as in the header, found 3")]
    [InlineData(".csv", "prompt\na\n\"b\nc", "a.csv:3: a quote is opened and not closed")]
    public void What_is_wrong_is_said_with_its_line(string kind, string text, string expected)
    {
        var error = Assert.Throws<InvalidRequestException>(() => Read(kind, text));
        Assert.StartsWith(expected, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData(".txt", "")]
    [InlineData(".txt", "# nothing\n\n")]
    [InlineData(".jsonl", "\n")]
    [InlineData(".csv", "prompt,seed\n")]
    public void A_file_without_prompts_is_refused(string kind, string text) =>
        Assert.EndsWith("no prompts in it", Assert.Throws<NablaGenException>(() => Read(kind, text)).Message);

    [Fact]
    public void A_file_that_is_no_text_is_refused_with_its_line() => Assert.Equal(
        "a.txt:2: is not text in UTF-8", Assert.Throws<NablaGenException>(() => PromptFile.Read("ok\nc\u00e9"u8.ToArray()[..^1], "a.txt", ".txt")).Message);

    [Fact]
    public void Two_encodings_in_one_file_are_refused()
    {
        byte[] utf16 = Encoding.Unicode.GetBytes("A blue star spins\r\n");
        byte[] utf8 = Encoding.UTF8.GetBytes("A red ball bounces\r\n");
        // What >> of an older PowerShell makes of a file in UTF-8, and of none.
        Assert.StartsWith("a.txt:2: has a byte of 0", Refusal([.. utf8, .. utf16]));
        Assert.StartsWith("a.txt:1: has a byte of 0", Refusal(utf16));
        // What that of a newer one makes of a file in UTF-16: in step, and out of it.
        Assert.Contains("UTF-8 in it", Refusal([0xFF, 0xFE, .. utf16, .. utf8]));
        Assert.Contains("UTF-8", Refusal([0xFF, 0xFE, .. utf16, .. utf8, (byte)'x']));
        Assert.Contains("UTF-8", Refusal([0xFE, 0xFF, .. Encoding.BigEndianUnicode.GetBytes("a\n"), .. utf8]));
        Assert.Contains("UTF-8", Refusal([0xFF, 0xFE, 0x00, 0xD8, (byte)'a', 0]));
        Assert.Equal("一只红色的球在绿色的草地上弹跳，背景是蓝天和白云，阳光明媚",
            PromptFile.Read([0xFF, 0xFE, .. Encoding.Unicode.GetBytes("一只红色的球在绿色的草地上弹跳，背景是蓝天和白云，阳光明媚\r\n")], "a.txt", ".txt").Single().Request.Prompt);

        static string Refusal(byte[] bytes) => Assert.Throws<NablaGenException>(() => PromptFile.Read(bytes, "a.txt", ".txt")).Message;
    }

    [Fact]
    public void Standard_input_tells_its_kind_by_how_it_begins()
    {
        Assert.Equal(("A red ball", 7), Of("prompt,seed\nA red ball,7\n"));
        Assert.Equal(("A red ball", 7), Of("\r\n\"Seed\"\t\"Prompt\"\r\n7\tA red ball\r\n"));
        Assert.Equal(("A red ball", 7), Of("{\"prompt\": \"A red ball\", \"seed\": 7}\n"));
        Assert.Equal(("prompt, of a kind", null), Of("prompt, of a kind\n"));

        static (string?, long?) Of(string text)
        {
            var request = PromptFile.Read(Encoding.UTF8.GetBytes(text), "standard input", "").Single().Request;
            return (request.Prompt, request.Seed);
        }
    }

    [Fact]
    public void Tables_as_spreadsheets_write_them_are_read()
    {
        var row = Read(".csv", "\ufeffprompt;seed;threshold;\r\n\"A red ball, rolling; slowly\";7;0,7;\r\n").Single().Request;
        Assert.Equal(("A red ball, rolling; slowly", 7, "nabla-0.7"), (row.Prompt, row.Seed, $"{row.Attention}"));
        Assert.Equal(2.5, Read(".csv", "prompt\tshift\na\t2,5\n").Single().Request.Shift);
        // Where commas part cells, a comma makes no number.
        Assert.Contains("'0,7' is not a number", Assert.Throws<InvalidRequestException>(() => Read(".csv", "prompt,threshold\na,\"0,7\"\n")).Message);
        Assert.Contains("expected a header such as prompt,seed", Assert.Throws<InvalidRequestException>(() => Read(".csv", "prompt|seed\na|7\n")).Message);
        Assert.Contains("\"x\" is in column 3, which has no name", Assert.Throws<InvalidRequestException>(() => Read(".csv", "prompt,seed,\na,7,x\n")).Message);
    }

    [Theory]
    [InlineData("A red ball --w 64 --h 64 --d 7", "--w 64")]
    [InlineData("A red ball --n blurry --s 20", "--n blurry")]
    [InlineData("--prompt \"A red ball\" --seed 7", "--prompt")]
    [InlineData("A red ball --ar 16:9", "--ar 16:9")]
    public void Options_of_other_programs_do_not_become_words_of_a_prompt(string line, string flag)
    {
        var error = Assert.Throws<InvalidRequestException>(() => Read(".txt", $"ok\n{line}\n"));
        Assert.StartsWith($"a.txt:2: \"{flag}", error.Message);
        Assert.Contains(".csv", error.Message);
    }

    [Theory]
    [InlineData("A ball -- red -- bounces")]
    [InlineData("a T-shirt with --w on it")]
    [InlineData("x--seed 5")]
    public void Hyphens_in_a_prompt_are_words(string line) => Assert.Equal(line, Read(".txt", line).Single().Request.Prompt);

    [Fact]
    public void A_missing_file_and_another_kind_are_refused()
    {
        Assert.Equal($"{_folder["no.txt"]}: no such file", Assert.Throws<NablaGenException>(() => PromptFile.Read(_folder["no.txt"])).Message);
        Assert.Contains("must end in .txt, .jsonl or .csv", Assert.Throws<NablaGenException>(() => PromptFile.Read(_folder["a.pdf"])).Message);
        Directory.CreateDirectory(_folder["b.txt"]);
        Assert.Contains("cannot be read", Assert.Throws<NablaGenException>(() => PromptFile.Read(_folder["b.txt"])).Message);
    }

    public void Dispose() => _folder.Dispose();

    private static IReadOnlyList<PromptRow> Read(string kind, string text) => PromptFile.Read(Encoding.UTF8.GetBytes(text), "a" + kind, kind);

    private sealed class Endless : MemoryStream
    {
        public override int Read(Span<byte> buffer) => buffer.Length;
    }
}
