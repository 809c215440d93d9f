namespace NablaGen.Training.World;

/// <summary>
/// Says what a scene shows, in one of many ways: synonyms, several word orders, attributes left out, words that mean nothing here.
/// Whatever it says in the world's own words is true.
/// </summary>
internal sealed class CaptionWriter
{
    private readonly Scene _scene;
    private readonly SplitMix64 _random;

    private CaptionContent _says = CaptionContent.Shapes | CaptionContent.Colours | CaptionContent.Motions;

    private CaptionWriter(Scene scene, SplitMix64 random)
    {
        _scene = scene;
        _random = random;
    }

    /// <summary>A caption for a scene.</summary>
    public static Caption Write(Scene scene, SplitMix64 random)
    {
        var writer = new CaptionWriter(scene, random);
        string text = writer.Chance(0.05) ? writer.Strange() : scene.Objects.Count == 1 ? writer.One() : writer.Two();
        return new Caption(writer.Finish(text), writer._says);
    }

    // What a person may ask of a world that they do not know.
    private string Strange()
    {
        _says = CaptionContent.None;
        string place = Where(0.4), who = A(Stranger());
        return _random.Next(3) switch
        {
            0 => $"{who} {Pick(Vocabulary.StrangeVerbs).One}{place}",
            1 => $"{who} and {A(Stranger())}{place}",
            _ => $"{Stranger()} {Stranger()} {Pick(Vocabulary.StrangeVerbs).Doing}{place}",
        };
    }

    private string One()
    {
        var o = _scene.Objects[0];
        string noun = Noun(o), backdrop = Where(0.65), place = o.Place is { } p && Chance(0.4) ? " " + Pick(Vocabulary.Of(p)) : "";
        var verb = Verb(o.Motion, 0.92);
        if (verb is not { } says)
        {
            return Pick([$"{A(noun)}{place}{backdrop}", $"{noun}{place}{Tail(backdrop.Length > 0)}"]);
        }

        return _random.Next(7) switch
        {
            0 or 1 => $"{A(noun)} {says.One}{place}{backdrop}",
            2 => $"{noun} {says.Doing}{place}{Tail(backdrop.Length > 0)}",
            3 => backdrop.Length > 0 ? $"{backdrop.TrimStart()}, {A(noun)} {says.One}{place}" : $"{A(noun)} {says.One}{place}",
            4 => $"{A(noun)}{place} is {says.Doing}{backdrop}",
            5 => $"{A(noun)}{place} {says.Doing}{backdrop}",
            _ => $"{noun}, {says.Doing}{(place.Length > 0 ? "," + place : "")}{Tail(backdrop.Length > 0)}",
        };
    }

    private string Two()
    {
        var (a, b) = (_scene.Objects[0], _scene.Objects[1]);
        string backdrop = Where(0.6);
        bool together = a.Motion == b.Motion;
        if (a.Shape == b.Shape && a.Colour == b.Colour && Chance(0.6))
        {
            string twins = $"two {Word(Vocabulary.Of(a.Colour))} {Plural(Word(Vocabulary.Of(a.Shape)))}";
            if (!together)
            {
                LeaveOut(CaptionContent.Motions);
            }

            // The two are alike but for what they do: nothing is left to be on a side.
            return together ? $"{twins} {Pick(Vocabulary.Of(a.Motion)).Many}{backdrop}" : twins + backdrop;
        }

        var (verbA, verbB) = (Verb(a.Motion, 0.85), Verb(b.Motion, 0.85));
        bool beside = _scene.Arrangement is Arrangement.LeftOf or Arrangement.RightOf;
        switch (_random.Next(5))
        {
            case 0 or 1:
                // Which comes first says nothing here.
                if (Chance(0.5))
                {
                    (a, b, verbA, verbB) = (b, a, verbB, verbA);
                }

                return together && verbA is { } both && Chance(0.5)
                    ? $"{A(Noun(a))} and {A(Noun(b))} {both.Many}{backdrop}"
                    : $"{A(Noun(a))}{Doing(verbA)} and {A(Noun(b))}{Doing(verbB)}{backdrop}";
            case 2:
                return $"two {Pick(["shapes", "objects", "things"])}: {A(Noun(a))}{Doing(verbA)} and {A(Noun(b))}{Doing(verbB)}{backdrop}";
            case 3:
                bool vague = beside && Chance(0.35);
                string relation = vague ? Pick(["beside", "next to"]) : Pick(Vocabulary.Of(_scene.Arrangement!.Value));
                _says |= vague ? CaptionContent.None : CaptionContent.Sides;
                string rest = together && verbA is { } all ? Pick([$", both {all.Doing}", $" {all.Doing}"]) : "";
                bool apart = !together && Chance(0.5);
                if (!apart && !together)
                {
                    LeaveOut(CaptionContent.Motions);
                }

                return apart
                    ? $"{A(Noun(a))}{Doing(verbA)} {relation} {A(Noun(b))}{Doing(verbB)}{backdrop}"
                    : $"{A(Noun(a))} {relation} {A(Noun(b))}{rest}{backdrop}";
            default:
                _says |= CaptionContent.Sides;
                string sideA = Side(first: true), sideB = Side(first: false);
                return $"{A(Noun(a))}{Doing(verbA)} {sideA} and {A(Noun(b))}{Doing(verbB)} {sideB}{backdrop}";
        }
    }

    // "on the left", for the first or the second of two.
    private string Side(bool first) => Pick(Vocabulary.Of((_scene.Arrangement, first) switch
    {
        (Arrangement.LeftOf, true) or (Arrangement.RightOf, false) => Place.Left,
        (Arrangement.RightOf, true) or (Arrangement.LeftOf, false) => Place.Right,
        (Arrangement.Above, true) or (Arrangement.Below, false) => Place.Top,
        _ => Place.Bottom,
    }));

    // "big red ball", without an article.
    private string Noun(SceneObject o)
    {
        bool named = Chance(0.91);
        string shape = named ? Word(Vocabulary.Of(o.Shape)) : Chance(0.5) ? Pick(Vocabulary.AnyShape) : Stranger();
        if (!named)
        {
            LeaveOut(CaptionContent.Shapes);
        }

        var words = new List<string>();
        if (o.Size is { } size && Chance(size == ObjectSize.Medium ? 0.25 : 0.55))
        {
            words.Add(Word(Vocabulary.Of(size)));
        }

        if (Chance(0.9))
        {
            words.Insert(Chance(0.88) ? words.Count : 0, Word(Vocabulary.Of(o.Colour)));
        }
        else
        {
            LeaveOut(CaptionContent.Colours);
        }

        words.Add(shape);
        return string.Join(' ', words);
    }

    private VerbPhrase? Verb(MotionKind motion, double probability)
    {
        if (!Chance(probability))
        {
            LeaveOut(CaptionContent.Motions);
            return Chance(0.4) && motion != MotionKind.Still ? Pick(Vocabulary.StrangeVerbs) : null;
        }

        if (motion is MotionKind.Right or MotionKind.Left && Chance(0.08))
        {
            LeaveOut(CaptionContent.Motions);
            return Pick(Vocabulary.Sideways);
        }

        return Pick(Vocabulary.Of(motion));
    }

    private void LeaveOut(CaptionContent content) => _says &= ~content;

    private static string Doing(VerbPhrase? verb) => verb is { } says ? " " + says.Doing : "";

    // " in a meadow", or nothing.
    private string Where(double probability)
    {
        if (!Chance(probability))
        {
            return Chance(0.1) ? " " + Pick(Vocabulary.StrangePlaces) : "";
        }

        var (before, name) = Pick(Vocabulary.Of(_scene.Backdrop));
        return $" {before} {name}";
    }

    // ", meadow", or nothing.
    private string Tail(bool said) => said ? ", " + Pick(Vocabulary.Of(_scene.Backdrop)).Name : "";

    private string Finish(string text)
    {
        if (Chance(0.1))
        {
            text = $"{Pick(Vocabulary.Openings)} {text}";
        }

        if (Chance(0.1))
        {
            text = $"{text}, {(Chance(0.7) ? Pick(Vocabulary.Fillers) : Stranger())}";
        }

        if (_scene.Camera != CameraDrift.None && Chance(0.1))
        {
            text += Pick([", the camera moves slowly", ", slow camera drift", ", camera pan"]);
        }

        return _random.Next(20) switch
        {
            < 11 => text,
            < 16 => char.ToUpperInvariant(text[0]) + text[1..] + ".",
            16 => text.ToUpperInvariant(),
            17 => text + "!",
            18 => text + ".",
            _ => text.Replace(",", "", StringComparison.Ordinal),
        };
    }

    // Something this world does not have; now and then a word that no dictionary has.
    private string Stranger()
    {
        if (Chance(0.6))
        {
            return Pick(Vocabulary.Strangers);
        }

        string word = "";
        for (int i = _random.Next(3) + 1; i >= 0; i--)
        {
            word += $"{"bcdfghjklmnprstvwz"[_random.Next(18)]}{"aeiouy"[_random.Next(6)]}{(Chance(0.3) ? $"{"nrstlm"[_random.Next(6)]}" : "")}";
        }

        return word;
    }

    private static string A(string noun) => $"{("aeiou".Contains(noun[0], StringComparison.Ordinal) ? "an" : "a")} {noun}";

    private static string Plural(string noun) => noun == "box" ? "boxes" : noun + "s";

    private string Word(IReadOnlyList<string> words) => _random.Pick(words);

    private T Pick<T>(IReadOnlyList<T> items) => _random.Pick(items);

    private bool Chance(double probability) => _random.Chance(probability);
}
