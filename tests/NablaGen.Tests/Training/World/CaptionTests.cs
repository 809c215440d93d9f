using NablaGen.Training.World;

namespace NablaGen.Tests.Training.World;

public class CaptionTests
{
    private static readonly string[] Backdrops =
        [.. Enum.GetValues<Backdrop>().SelectMany(b => Vocabulary.Of(b)).Select(b => b.Name).Distinct().OrderByDescending(n => n.Length)];

    [Fact]
    public void A_caption_of_one_object_says_nothing_untrue()
    {
        using var world = new ShapeWorld(WorldSplit.Training, 4);
        int colours = 0, shapes = 0, motions = 0, captions = 0;
        for (int i = 0; i < 3000; i++)
        {
            if (world.SceneAt(i) is not { Objects: [var o] } scene)
            {
                continue;
            }

            captions++;
            string text = world.CaptionAt(i), plain = text.ToLowerInvariant();
            foreach (string name in Backdrops.Where(name => HasWord(plain, name)))
            {
                Assert.True(Vocabulary.Of(scene.Backdrop).Any(b => b.Name == name), $"{scene.Backdrop}: {text}");
                plain = plain.Replace(name, "");
            }

            colours += Check(o.Colour, c => Vocabulary.Of(c), plain, text);
            Check(o.Size, s => Vocabulary.Of(s!.Value), plain, text);
            motions += Check(o.Motion, m => [.. Vocabulary.Of(m).SelectMany(v => new[] { v.One, v.Doing })], plain, text);
            // "moves in a circle" is no circle.
            shapes += Check(o.Shape, s => Vocabulary.Of(s), plain.Replace("in a circle", ""), text);
            Check(o.Place, p => Vocabulary.Of(p!.Value), plain, text);
        }

        Assert.InRange(colours, 0.75 * captions, 0.95 * captions);
        Assert.InRange(shapes, 0.75 * captions, 0.95 * captions);
        Assert.InRange(motions, 0.7 * captions, 0.95 * captions);
    }

    [Fact]
    public void It_is_known_what_a_caption_says()
    {
        using var world = new ShapeWorld(WorldSplit.Training, 4);
        for (int i = 0; i < 3000; i++)
        {
            var (scene, caption) = (world.SceneAt(i), world.DescribeAt(i));
            Assert.Equal(world.CaptionAt(i), caption.Text);
            string plain = caption.Text.ToLowerInvariant().TrimEnd('.', '!');
            foreach (var o in scene.Objects)
            {
                Assert.True(!caption.Says.HasFlag(CaptionContent.Shapes) || Vocabulary.Of(o.Shape).Any(plain.Contains), caption.Text);
                Assert.True(!caption.Says.HasFlag(CaptionContent.Colours) || Vocabulary.Of(o.Colour).Any(plain.Contains), caption.Text);
                Assert.True(!caption.Says.HasFlag(CaptionContent.Motions)
                    || Vocabulary.Of(o.Motion).Any(v => plain.Contains(v.One) || plain.Contains(v.Doing) || plain.Contains(v.Many)), caption.Text);
            }

            // What moves to the left or the right is never beside another.
            if (scene.Arrangement is Arrangement.LeftOf or Arrangement.RightOf)
            {
                Assert.Equal(HasWord(plain, "left") || HasWord(plain, "right"), caption.Says.HasFlag(CaptionContent.Sides));
            }
        }
    }

    [Fact]
    public void A_caption_of_two_objects_names_only_what_they_are()
    {
        using var world = new ShapeWorld(WorldSplit.Training, 4);
        foreach (int i in Enumerable.Range(0, 3000).Where(i => world.SceneAt(i).Objects.Count == 2))
        {
            var scene = world.SceneAt(i);
            string text = world.CaptionAt(i), plain = text.ToLowerInvariant();
            foreach (var (before, name) in Vocabulary.Of(scene.Backdrop))
            {
                plain = plain.Replace($"{before} {name}", "");
            }

            foreach (var colour in Enum.GetValues<ObjectColour>().Where(c => Vocabulary.Of(c).Any(w => HasWord(plain, w))))
            {
                Assert.True(scene.Objects.Any(o => o.Colour == colour), text);
            }

            foreach (var shape in Enum.GetValues<ShapeKind>().Where(s => Vocabulary.Of(s).Any(w => w != "circle" && HasWord(plain, w))))
            {
                Assert.True(scene.Objects.Any(o => o.Shape == shape), text);
            }

            foreach (var arrangement in Enum.GetValues<Arrangement>().Where(a => Vocabulary.Of(a).Any(w => HasWord(plain, w))))
            {
                Assert.True(scene.Arrangement == arrangement, text);
            }
        }
    }

    [Fact]
    public void Captions_are_varied_and_clean()
    {
        using var world = new ShapeWorld(WorldSplit.Training);
        var captions = Enumerable.Range(0, 5000).Select(i => world.CaptionAt(i)).ToList();

        Assert.True(captions.Distinct(StringComparer.OrdinalIgnoreCase).Count() > 4600);
        Assert.All(captions, c => Assert.Matches(@"^[A-Za-z0-9][A-Za-z0-9 ,.:!-]*$", c));
        Assert.DoesNotContain(captions, c => c.Contains("  ") || c.Contains(" ,"));
        Assert.Contains(captions, c => c.Contains("at sunset"));
        Assert.Contains(captions, c => c.All(l => !char.IsLower(l)));
    }

    [Fact]
    public void The_corpus_is_captions_a_line_each()
    {
        using var world = new ShapeWorld(WorldSplit.Training, 6);
        var text = new StringWriter();
        TokenizerCorpus.WriteCorpus(text, 3, 6);
        Assert.Equal($"{world.CaptionAt(0)}\n{world.CaptionAt(1)}\n{world.CaptionAt(2)}\n", text.ToString());
    }

    // 1 if the text has a word for a value; it must be the true one.
    private static int Check<T>(T actual, Func<T, IReadOnlyList<string>> words, string plain, string text)
    {
        var all = Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T);
        int found = 0;
        foreach (T value in Enum.GetValues(all).Cast<object>().Select(v => (T)v))
        {
            foreach (string word in words(value).Distinct().Where(w => HasWord(plain, w)))
            {
                // "turns" begins "turns around", "jumps" "jumps up and down", and so on: the same value.
                Assert.True(Equals(actual, value), $"{actual}, not {value}, by \"{word}\": {text}");
                found = 1;
            }
        }

        return found;
    }

    private static bool HasWord(string text, string word)
    {
        for (int at = text.IndexOf(word, StringComparison.Ordinal); at >= 0; at = text.IndexOf(word, at + 1, StringComparison.Ordinal))
        {
            int end = at + word.Length;
            if ((at == 0 || !IsWord(text[at - 1])) && (end == text.Length || !IsWord(text[end])))
            {
                return true;
            }
        }

        return false;

        static bool IsWord(char c) => char.IsLetterOrDigit(c) || c == '-';
    }
}
