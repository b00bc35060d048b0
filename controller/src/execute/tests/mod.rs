mod links;
mod walks;
