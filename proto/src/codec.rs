//! How messages are packed for the wire: as prost does it, in buffers that begin small.
//!
//! A controller keeps two streams to each of thousands of agents, nearly always silent ones; a buffer of eight thousand bytes for each
//! direction of each would be most of its memory. A message that is larger than its buffer makes it grow.
//!
//! **Invariant:** not one byte on the wire depends on this.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// What a buffer holds at first: most messages.
const BUFFER_BYTES: usize = 512;

/// So much is packed before it is handed on.
const HANDED_ON_BYTES: usize = 32 << 10;

/// Packs messages of type `T` and unpacks those of type `U`.
#[derive(Debug)]
pub struct SmallCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SmallCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, HANDED_ON_BYTES)
}
