namespace NablaGen.Training.World;

/// <summary>The words for everything in the world, and some for what is not in it.</summary>
internal static class Vocabulary
{
    /// <summary>Names of a shape.</summary>
    public static IReadOnlyList<string> Of(ShapeKind shape) => shape switch
    {
        ShapeKind.Ball => ["ball", "ball", "circle", "sphere", "orb"],
        ShapeKind.Square => ["square", "square", "box", "cube", "block"],
        ShapeKind.Triangle => ["triangle", "triangle", "pyramid"],
        ShapeKind.Star => ["star"],
        ShapeKind.Ring => ["ring", "ring", "hoop", "donut"],
        _ => ["heart"],
    };

    /// <summary>Names of a colour.</summary>
    public static IReadOnlyList<string> Of(ObjectColour colour) => colour switch
    {
        ObjectColour.Red => ["red", "red", "crimson", "scarlet"],
        ObjectColour.Orange => ["orange", "orange", "tangerine"],
        ObjectColour.Yellow => ["yellow", "yellow", "golden", "lemon"],
        ObjectColour.Green => ["green", "green", "emerald"],
        ObjectColour.Teal => ["teal", "turquoise", "cyan"],
        ObjectColour.Blue => ["blue", "blue", "azure", "cobalt"],
        ObjectColour.Purple => ["purple", "purple", "violet"],
        _ => ["pink", "pink", "rosy", "magenta"],
    };

    /// <summary>Names of a size.</summary>
    public static IReadOnlyList<string> Of(ObjectSize size) => size switch
    {
        ObjectSize.Small => ["small", "small", "tiny", "little"],
        ObjectSize.Medium => ["medium", "medium-sized"],
        _ => ["big", "large", "huge", "giant"],
    };

    /// <summary>Ways to say a motion.</summary>
    public static IReadOnlyList<VerbPhrase> Of(MotionKind motion) => motion switch
    {
        MotionKind.Right => Across(["from left to right", "to the right", "left to right", "rightwards"]),
        MotionKind.Left => Across(["from right to left", "to the left", "right to left", "leftwards"]),
        MotionKind.Rise =>
        [
            new("rises", "rising", "rise", ""), new("rises", "rising", "rise", "up"), new("floats", "floating", "float", "up"),
            new("goes", "going", "go", "up"), new("moves", "moving", "move", "up"), new("drifts", "drifting", "drift", "upwards"),
            new("flies", "flying", "fly", "up"), new("climbs", "climbing", "climb", "up"),
        ],
        MotionKind.Fall =>
        [
            new("falls", "falling", "fall", ""), new("falls", "falling", "fall", "down"), new("drops", "dropping", "drop", ""),
            new("goes", "going", "go", "down"), new("moves", "moving", "move", "down"), new("sinks", "sinking", "sink", ""),
            new("drifts", "drifting", "drift", "downwards"), new("tumbles", "tumbling", "tumble", "down"),
        ],
        MotionKind.Bounce =>
        [
            new("bounces", "bouncing", "bounce", ""), new("bounces", "bouncing", "bounce", "up and down"),
            new("hops", "hopping", "hop", ""), new("jumps", "jumping", "jump", "up and down"), new("jumps", "jumping", "jump", ""),
        ],
        MotionKind.Circle =>
        [
            new("moves", "moving", "move", "in a circle"), new("circles", "circling", "circle", ""),
            new("goes", "going", "go", "round and round"), new("flies", "flying", "fly", "in circles"),
            new("orbits", "orbiting", "orbit", ""), new("circles", "circling", "circle", "around"),
        ],
        MotionKind.Grow =>
        [
            new("grows", "growing", "grow", ""), new("gets", "getting", "get", "bigger"), new("gets", "getting", "get", "larger"),
            new("expands", "expanding", "expand", ""), new("grows", "growing", "grow", "bigger"), new("swells", "swelling", "swell", ""),
        ],
        MotionKind.Shrink =>
        [
            new("shrinks", "shrinking", "shrink", ""), new("gets", "getting", "get", "smaller"),
            new("becomes", "becoming", "become", "smaller"), new("shrinks", "shrinking", "shrink", "away"),
        ],
        MotionKind.Spin =>
        [
            new("spins", "spinning", "spin", ""), new("rotates", "rotating", "rotate", ""), new("turns", "turning", "turn", "around"),
            new("spins", "spinning", "spin", "around"), new("twirls", "twirling", "twirl", ""), new("turns", "turning", "turn", ""),
        ],
        _ =>
        [
            new("stays", "staying", "stay", "still"), new("rests", "resting", "rest", ""), new("sits", "sitting", "sit", "still"),
            new("stands", "standing", "stand", "still"), new("hangs", "hanging", "hang", "motionless"),
            new("does not move", "not moving", "do not move", ""),
        ],
    };

    /// <summary>Ways to say a backdrop: the words before the name, and the name.</summary>
    public static IReadOnlyList<(string Before, string Name)> Of(Backdrop backdrop) => backdrop switch
    {
        Backdrop.White =>
        [
            ("on a", "white background"), ("against a", "white background"), ("in a", "white room"), ("in front of a", "white wall"),
            ("on a plain", "white background"),
        ],
        Backdrop.Grey =>
        [
            ("on a", "grey background"), ("on a", "gray background"), ("in front of a", "grey wall"), ("against a", "stone wall"),
            ("in a", "grey room"),
        ],
        Backdrop.Dark =>
        [
            ("on a", "black background"), ("in a", "dark room"), ("on a", "dark background"), ("in", "the dark"),
            ("against a", "black background"),
        ],
        Backdrop.Sky =>
        [
            ("in a", "light blue sky"), ("across a", "light blue sky"), ("in the", "blue sky"), ("against a", "cloudy sky"),
            ("in a", "cloudy sky"), ("among", "the clouds"), ("in", "the sky"), ("above", "the clouds"), ("under a", "cloudy sky"),
        ],
        Backdrop.Night =>
        [
            ("across a", "dark blue sky"), ("in a", "dark blue sky"), ("in the", "night sky"), ("at", "night"), ("against a", "starry sky"),
            ("under a", "starry sky"),
        ],
        Backdrop.Sunset =>
        [
            ("at", "sunset"), ("in a", "sunset sky"), ("against a", "sunset sky"), ("in the", "evening sky"), ("at", "dusk"),
        ],
        Backdrop.Meadow =>
        [
            ("in a", "meadow"), ("in a", "green field"), ("over", "green hills"), ("on", "the grass"), ("in a", "grassy field"),
            ("in", "the park"), ("over a", "meadow"), ("above", "the grass"), ("across a", "green field"),
        ],
        _ =>
        [
            ("on a", "beach"), ("on a", "sandy beach"), ("by", "the sea"), ("on", "the sand"), ("at", "the seaside"), ("over", "the beach"),
            ("above", "the sand"), ("across", "the beach"), ("over", "the sea"),
        ],
    };

    /// <summary>Ways to say a place.</summary>
    public static IReadOnlyList<string> Of(Place place) => place switch
    {
        Place.Centre => ["in the middle", "in the centre", "in the center"],
        Place.Left => ["on the left", "on the left side"],
        Place.Right => ["on the right", "on the right side"],
        Place.Top => ["at the top", "near the top"],
        _ => ["at the bottom", "near the bottom"],
    };

    /// <summary>Ways to say how the first of two lies to the second.</summary>
    public static IReadOnlyList<string> Of(Arrangement arrangement) => arrangement switch
    {
        Arrangement.LeftOf => ["to the left of", "left of"],
        Arrangement.RightOf => ["to the right of", "right of"],
        Arrangement.Above => ["above", "over"],
        _ => ["below", "under"],
    };

    /// <summary>Motions that say neither right nor left.</summary>
    public static IReadOnlyList<VerbPhrase> Sideways { get; } =
        [new("drifts", "drifting", "drift", "across"), new("moves", "moving", "move", "sideways"), new("glides", "gliding", "glide", "across")];

    /// <summary>Words for any shape.</summary>
    public static IReadOnlyList<string> AnyShape { get; } = ["object", "shape", "thing", "toy", "figure"];

    /// <summary>Things that are not in this world: where one stands, any shape may be.</summary>
    public static IReadOnlyList<string> Strangers { get; } =
    [
        "cat", "dog", "robot", "car", "bird", "fish", "girl", "boy", "man", "woman", "horse", "dragon", "house", "tree", "flower", "boat", "train",
        "plane", "spaceship", "panda", "bear", "rabbit", "duck", "apple", "banana", "ghost", "knight", "queen", "frog", "mouse", "cow", "butterfly",
        "monkey", "snowman", "wizard", "child", "person", "astronaut", "kitten", "puppy", "lion", "elephant", "rocket", "balloon", "moon", "sun",
        "planet", "guitar", "bottle", "cup", "book", "chair", "lamp", "bus", "bicycle", "fox", "wolf", "owl", "penguin", "dinosaur",
    ];

    /// <summary>What things do that are not in this world: any motion may be.</summary>
    public static IReadOnlyList<VerbPhrase> StrangeVerbs { get; } =
    [
        new("surfs", "surfing", "surf", ""), new("runs", "running", "run", ""), new("dances", "dancing", "dance", ""),
        new("walks", "walking", "walk", ""), new("swims", "swimming", "swim", ""), new("sings", "singing", "sing", ""),
        new("plays", "playing", "play", ""), new("drives", "driving", "drive", ""), new("skates", "skating", "skate", ""),
        new("eats", "eating", "eat", ""), new("talks", "talking", "talk", ""), new("works", "working", "work", ""),
        new("looks", "looking", "look", "around"), new("plays", "playing", "play", "the piano"), new("rides", "riding", "ride", "a bike"),
    ];

    /// <summary>Places that are not in this world: any backdrop may be.</summary>
    public static IReadOnlyList<string> StrangePlaces { get; } =
    [
        "in Paris", "on Mars", "in a kitchen", "in a forest", "in the city", "on a table", "in space", "in the rain", "on the street", "in the ocean",
        "in the mountains", "in winter", "at home", "in London", "on stage", "in a garden", "on the road", "in a castle", "at school", "in the desert",
    ];

    /// <summary>Adverbs and styles that change nothing.</summary>
    public static IReadOnlyList<string> Fillers { get; } =
    [
        "4k", "highly detailed", "cinematic", "cartoon", "3d render", "cute", "smooth animation", "studio light", "soft light", "beautiful",
        "high quality", "masterpiece", "realistic", "slow motion", "close up", "wide shot", "hd", "trending", "photo", "nice", "funny",
    ];

    /// <summary>How a caption may begin.</summary>
    public static IReadOnlyList<string> Openings { get; } =
        ["a video of", "an animation of", "a clip of", "animation of", "video of", "a movie of", "this is", "we see", "a picture of", "show me"];

    private static readonly VerbPhrase[] Movers =
    [
        new("moves", "moving", "move", ""), new("drifts", "drifting", "drift", ""), new("glides", "gliding", "glide", ""),
        new("slides", "sliding", "slide", ""), new("floats", "floating", "float", ""), new("travels", "travelling", "travel", ""),
        new("flies", "flying", "fly", ""), new("goes", "going", "go", ""),
    ];

    private static VerbPhrase[] Across(string[] ways) => [.. Movers.SelectMany(verb => ways.Select(way => verb with { Rest = way }))];
}
