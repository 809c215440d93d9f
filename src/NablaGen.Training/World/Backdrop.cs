namespace NablaGen.Training.World;

/// <summary>What is behind the objects. Backdrops are muted where objects are vivid, so that any object shows on any of them.</summary>
public enum Backdrop
{
    /// <summary>A white room.</summary>
    White,

    /// <summary>A grey wall, softly textured.</summary>
    Grey,

    /// <summary>A dark room, nearly black.</summary>
    Dark,

    /// <summary>A light blue sky with clouds.</summary>
    Sky,

    /// <summary>A dark blue night sky with faint stars.</summary>
    Night,

    /// <summary>A sky at sunset: mauve above, peach below.</summary>
    Sunset,

    /// <summary>A green meadow under a pale sky.</summary>
    Meadow,

    /// <summary>Sand, a strip of sea, a pale sky.</summary>
    Beach,
}
